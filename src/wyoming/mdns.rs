//! The records by which a service on this network is found (DNS-SD, RFC 6763, over multicast DNS, RFC 6762), and the answers
//! to those who ask for them. Bytes in, bytes out; `announce` has the socket.

use std::net::Ipv4Addr;

/// What Home Assistant looks for.
const SERVICE: [&str; 3] = ["_wyoming", "_tcp", "local"];
/// What lists all kinds of services.
const SERVICES: [&str; 4] = ["_services", "_dns-sd", "_udp", "local"];

/// Seconds for which records of a host may be kept, and the others.
const HOST_TTL: u32 = 120;
const OTHER_TTL: u32 = 4_500;
/// The same for askers that are no neighbours of multicast DNS.
const LEGACY_TTL: u32 = 10;

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;
const ANY: u16 = 255;
/// The Internet, and that this record is the only one of its name and kind.
const IN: u16 = 1;
const ONLY: u16 = 0x8000;

/// A query of more questions than this is not answered.
const MOST_QUESTIONS: u16 = 64;

/// A name, label by label.
type Name = Vec<String>;

/// A service at an address.
#[derive(Clone, Debug)]
pub(super) struct Service {
    instance: Name,
    host: Name,
    address: Ipv4Addr,
    port: u16,
}

#[derive(Debug)]
struct Question {
    name: Name,
    kind: u16,
}

struct Record<'s> {
    name: &'s Name,
    kind: u16,
    is_only: bool,
    ttl: u32,
    data: Vec<u8>,
}

impl Service {
    /// `title` is for people, `host` a word that nobody else on the network uses.
    pub(super) fn new(title: &str, host: &str, address: Ipv4Addr, port: u16) -> Self {
        // A label has at most 63 bytes.
        let mut label = title.to_owned();
        while label.len() > 63 {
            label.pop();
        }
        let instance = std::iter::once(label).chain(owned(&SERVICE)).collect();
        Self { instance, host: vec![host.to_owned(), "local".to_owned()], address, port }
    }

    /// All records, unasked; with `is_over` they are taken back.
    pub(super) fn announcement(&self, is_over: bool) -> Vec<u8> {
        let (service, services) = (owned(&SERVICE), owned(&SERVICES));
        let mut records = self.records(&service, &services);
        if is_over {
            for record in &mut records {
                record.ttl = 0;
            }
        }
        message(0, &[], &records)
    }

    /// The answer to a query, if it asks for what is here. An asker that `is_legacy`, one from another port than that of multicast
    /// DNS, gets its question back and may not keep the answer for long.
    pub(super) fn answer(&self, query: &[u8], is_legacy: bool) -> Option<Vec<u8>> {
        let (id, questions) = questions(query)?;
        let (service, services) = (owned(&SERVICE), owned(&SERVICES));
        let records = self.records(&service, &services);
        let is_asked = |record: &Record<'_>| {
            questions.iter().any(|question| {
                (question.kind == record.kind || question.kind == ANY) && is_same(&question.name, record.name)
            })
        };
        let asks_for_services = questions.iter().any(|question| is_same(&question.name, &services));
        let asks_for_all = questions.iter().any(|question| is_same(&question.name, &service));
        if !records.iter().any(is_asked) {
            return None;
        }
        // Whoever finds the service will ask for its place next.
        let mut told: Vec<Record<'_>> = records
            .into_iter()
            .filter(|record| {
                is_asked(record)
                    || (asks_for_all && !is_same(record.name, &services))
                    || (record.kind == A && !asks_for_services)
            })
            .collect();
        if !is_legacy {
            return Some(message(0, &[], &told));
        }
        for record in &mut told {
            record.ttl = record.ttl.min(LEGACY_TTL);
            record.is_only = false;
        }
        Some(message(id, &questions, &told))
    }

    fn records<'s>(&'s self, service: &'s Name, services: &'s Name) -> Vec<Record<'s>> {
        let record = |name, kind, is_only, ttl, data| Record { name, kind, is_only, ttl, data };
        // Priority and weight, which nobody looks at where there is one server.
        let mut place = vec![0, 0, 0, 0];
        place.extend(self.port.to_be_bytes());
        write_name(&mut place, &self.host);
        vec![
            record(service, PTR, false, OTHER_TTL, name_bytes(&self.instance)),
            record(services, PTR, false, OTHER_TTL, name_bytes(service)),
            record(&self.instance, SRV, true, HOST_TTL, place),
            // One empty text: there is nothing to add.
            record(&self.instance, TXT, true, OTHER_TTL, vec![0]),
            record(&self.host, A, true, HOST_TTL, self.address.octets().to_vec()),
        ]
    }
}

fn owned(labels: &[&str]) -> Name {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

fn is_same(one: &Name, other: &Name) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

fn name_bytes(name: &Name) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_name(&mut bytes, name);
    bytes
}

fn write_name(bytes: &mut Vec<u8>, name: &Name) {
    for label in name {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
}

fn message(id: u16, questions: &[Question], records: &[Record<'_>]) -> Vec<u8> {
    /// An answer, by the one who knows.
    const FLAGS: u16 = 0x8400;

    let mut bytes = Vec::new();
    for word in [id, FLAGS, questions.len() as u16, records.len() as u16, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for Question { name, kind } in questions {
        write_name(&mut bytes, name);
        bytes.extend(kind.to_be_bytes());
        bytes.extend(IN.to_be_bytes());
    }
    for record in records {
        write_name(&mut bytes, record.name);
        bytes.extend(record.kind.to_be_bytes());
        bytes.extend((if record.is_only { IN | ONLY } else { IN }).to_be_bytes());
        bytes.extend(record.ttl.to_be_bytes());
        bytes.extend((record.data.len() as u16).to_be_bytes());
        bytes.extend(&record.data);
    }
    bytes
}

/// The id and the questions of a query; `None` for what is none.
fn questions(bytes: &[u8]) -> Option<(u16, Vec<Question>)> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (id, flags, count) = (word(0)?, word(2)?, word(4)?);
    let is_query = flags & 0xf800 == 0;
    if !is_query || count > MOST_QUESTIONS {
        return None;
    }
    let mut at = 12;
    let mut found = Vec::new();
    for _ in 0..count {
        let (name, end) = read_name(bytes, at)?;
        found.push(Question { name, kind: word(end)? });
        at = end + 4;
    }
    Some((id, found))
}

/// A name and where it ends. Names may point back to others; each step leads to the left, so it ends.
fn read_name(bytes: &[u8], start: usize) -> Option<(Name, usize)> {
    let (mut name, mut at, mut end, mut leftmost) = (Vec::new(), start, None, start);
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = bytes.get(at + 1..at + 1 + length)?;
                name.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + length;
            }
            0xc0.. => {
                let to = (length & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?);
                if to >= leftmost {
                    return None;
                }
                end = end.or(Some(at + 2));
                (at, leftmost) = (to, to);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::wyoming) fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        write_name(&mut bytes, &name.split('.').map(str::to_owned).collect());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(IN.to_be_bytes());
        bytes
    }

    /// `name kind ttl data` of each record, names and places written out.
    pub(in crate::wyoming) fn told(bytes: &[u8]) -> Vec<String> {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!(word(2), 0x8400);
        let mut at = 12;
        for _ in 0..word(4) {
            at = read_name(bytes, at).unwrap().1 + 4;
        }
        let mut found = Vec::new();
        for _ in 0..word(6) {
            let (name, end) = read_name(bytes, at).unwrap();
            let (kind, ttl) = (word(end), u32::from(word(end + 4)) << 16 | u32::from(word(end + 6)));
            let data = end + 10..end + 10 + usize::from(word(end + 8));
            let said = match kind {
                A => format!(
                    "{}.{}.{}.{}",
                    bytes[data.start],
                    bytes[data.start + 1],
                    bytes[data.start + 2],
                    bytes[data.start + 3]
                ),
                PTR => read_name(bytes, data.start).unwrap().0.join("."),
                SRV => format!(
                    "{}:{}",
                    read_name(bytes, data.start + 6).unwrap().0.join("."),
                    word(data.start + 4)
                ),
                _ => format!("{:?}", &bytes[data.clone()]),
            };
            found.push(format!("{} {kind} {ttl} {said}", name.join(".")));
            at = data.end;
        }
        assert_eq!(at, bytes.len());
        found
    }

    pub(in crate::wyoming) fn service() -> Service {
        Service::new("declaim on box", "declaim-1f", Ipv4Addr::new(192, 168, 1, 7), 10_200)
    }

    const ALL: [&str; 5] = [
        "_wyoming._tcp.local 12 4500 declaim on box._wyoming._tcp.local",
        "_services._dns-sd._udp.local 12 4500 _wyoming._tcp.local",
        "declaim on box._wyoming._tcp.local 33 120 declaim-1f.local:10200",
        "declaim on box._wyoming._tcp.local 16 4500 [0]",
        "declaim-1f.local 1 120 192.168.1.7",
    ];

    #[test]
    fn who_looks_for_the_service_is_told_its_place() {
        let answer = |name: &str, kind| service().answer(&query(name, kind), false).map(|bytes| told(&bytes));
        assert_eq!(answer("_Wyoming._tcp.local", PTR).unwrap(), [ALL[0], ALL[2], ALL[3], ALL[4]]);
        assert_eq!(answer("_services._dns-sd._udp.local", PTR).unwrap(), [ALL[1]]);
        assert_eq!(answer("declaim on box._wyoming._tcp.local", SRV).unwrap(), [ALL[2], ALL[4]]);
        assert_eq!(answer("declaim on box._wyoming._tcp.local", ANY).unwrap(), [ALL[2], ALL[3], ALL[4]]);
        assert_eq!(answer("declaim-1f.local", A).unwrap(), [ALL[4]]);
        for (name, kind) in [("_http._tcp.local", PTR), ("declaim-1f.local", 28), ("other.local", A)] {
            assert_eq!(answer(name, kind), None, "{name} {kind}");
        }
        assert_eq!(told(&service().announcement(false)), ALL);
        assert!(told(&service().announcement(true)).iter().all(|record| record.contains(" 0 ")));
    }

    #[test]
    fn an_asker_from_elsewhere_gets_its_question_back() {
        let query = query("_wyoming._tcp.local", PTR);
        let answer = service().answer(&query, true).unwrap();
        assert_eq!((&answer[..2], &answer[12..query.len()]), (&query[..2], &query[12..]));
        assert!(told(&answer).iter().all(|record| record.contains(" 10 ")), "{:?}", told(&answer));
    }

    #[test]
    fn what_is_no_query_is_not_answered_and_does_no_harm() {
        let good = query("_wyoming._tcp.local", PTR);
        let mut pointing = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
        pointing.extend(&query("_wyoming._tcp.local", A)[12..]);
        pointing.extend([0xc0, 12, 0, 12, 0, 1]);
        assert!(service().answer(&pointing, false).is_some(), "a name that points back");
        let mut answer = good.clone();
        answer[2] = 0x84;
        let mut endless = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        endless.extend([0xc0, 12, 0, 12, 0, 1]);
        for wrong in [&answer, &endless] {
            assert!(service().answer(wrong, false).is_none());
        }
        for length in 0..good.len() {
            service().answer(&good[..length], false);
        }
    }

    #[test]
    fn a_long_title_is_cut_between_characters() {
        let service = Service::new(&"ä".repeat(40), "h", Ipv4Addr::LOCALHOST, 1);
        assert_eq!(service.instance[0], "ä".repeat(31));
    }
}
