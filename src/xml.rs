//! As much of XML as speech is written in: elements, attributes, text.
//!
//! Read node by node, well-formed or refused with the place. There are no document types, so there are no entities but the
//! five of XML itself and characters by number: nothing grows, and nothing is fetched. Depth and length of names are bounded.

/// Elements inside of elements.
const DEEPEST: usize = 32;

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'t> {
    /// Every start has its end, also that of `<br/>`.
    Start(Element<'t>),
    End,
    /// With its references replaced.
    Text {
        text: String,
        at: usize,
    },
}

/// How an element begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element<'t> {
    pub name: &'t str,
    pub attributes: Vec<(&'t str, String)>,
    /// In bytes.
    pub at: usize,
}

impl Element<'_> {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// Why a text is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct XmlError {
    /// In bytes.
    pub at: usize,
    pub problem: String,
}

impl XmlError {
    pub fn new(at: usize, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into() }
    }
}

/// Line and column of a place in bytes, both counted from 1, columns in characters.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
}

/// Reads one document.
#[derive(Debug)]
pub struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: Vec<(&'t str, usize)>,
    /// `<br/>` has begun and not ended.
    is_empty: bool,
    has_root: bool,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, open: Vec::new(), is_empty: false, has_root: false }
    }

    /// The next node; `None` behind the document.
    ///
    /// # Errors
    /// Where the text is not well-formed, or has what is not read here.
    pub fn read(&mut self) -> Result<Option<Node<'t>>, XmlError> {
        if std::mem::take(&mut self.is_empty) {
            self.open.pop();
            return Ok(Some(Node::End));
        }
        loop {
            let rest = &self.text[self.at..];
            if rest.is_empty() {
                return match self.open.last() {
                    Some((name, at)) => Err(XmlError::new(*at, format!("<{name}> is never closed"))),
                    None if self.has_root => Ok(None),
                    None => Err(XmlError::new(self.at, "there is no element")),
                };
            }
            let at = self.at;
            if !rest.starts_with('<') {
                let length = rest.find('<').unwrap_or(rest.len());
                self.at += length;
                let text = plain(at, &rest[..length])?;
                if self.open.is_empty() {
                    if text.trim_start_matches('\u{feff}').trim().is_empty() {
                        continue;
                    }
                    return Err(XmlError::new(at, "there is text outside of the outermost element"));
                }
                return Ok(Some(Node::Text { text, at }));
            }
            if let Some(comment) = rest.strip_prefix("<!--") {
                self.at += 7 + length_to(comment, "-->", at, "a comment")?;
            } else if let Some(data) = rest.strip_prefix("<![CDATA[") {
                let length = length_to(data, "]]>", at, "a CDATA section")?;
                self.at += 12 + length;
                if self.open.is_empty() {
                    return Err(XmlError::new(at, "there is text outside of the outermost element"));
                }
                return Ok(Some(Node::Text { text: data[..length].to_owned(), at }));
            } else if rest.starts_with("<!") {
                return Err(XmlError::new(at, "document types and entities of one's own are not read"));
            } else if let Some(instruction) = rest.strip_prefix("<?") {
                if at > 0 || !instruction.starts_with("xml ") {
                    return Err(XmlError::new(at, "processing instructions are not read"));
                }
                self.at += 4 + length_to(instruction, "?>", at, "the XML declaration")?;
            } else if rest.starts_with("</") {
                return self.end().map(Some);
            } else {
                return self.start().map(|element| Some(Node::Start(element)));
            }
        }
    }

    fn end(&mut self) -> Result<Node<'t>, XmlError> {
        let at = self.at;
        self.at += 2;
        let name = self.name()?;
        self.blanks();
        if !self.text[self.at..].starts_with('>') {
            return Err(XmlError::new(self.at, format!("</{name} lacks its >")));
        }
        self.at += 1;
        match self.open.pop() {
            Some((open, _)) if open == name => Ok(Node::End),
            Some((open, _)) => Err(XmlError::new(at, format!("</{name}> stands where </{open}> must"))),
            None => Err(XmlError::new(at, format!("</{name}> closes nothing"))),
        }
    }

    fn start(&mut self) -> Result<Element<'t>, XmlError> {
        let at = self.at;
        if self.open.is_empty() && self.has_root {
            return Err(XmlError::new(at, "there is a second outermost element"));
        }
        self.at += 1;
        let name = self.name()?;
        let mut attributes: Vec<(&str, String)> = Vec::new();
        loop {
            let had_blanks = self.blanks();
            let rest = &self.text[self.at..];
            if rest.starts_with("/>") || rest.starts_with('>') {
                break;
            }
            if rest.is_empty() || !had_blanks {
                return Err(XmlError::new(self.at, format!("<{name}> lacks its >")));
            }
            let (attribute, value) = self.attribute()?;
            if attributes.iter().any(|(known, _)| *known == attribute) {
                return Err(XmlError::new(at, format!("<{name}> has {attribute} twice")));
            }
            attributes.push((attribute, value));
        }
        self.is_empty = self.text[self.at..].starts_with('/');
        self.at += 1 + usize::from(self.is_empty);
        if self.open.len() == DEEPEST {
            return Err(XmlError::new(at, format!("elements are more than {DEEPEST} deep")));
        }
        self.open.push((name, at));
        self.has_root = true;
        Ok(Element { name, attributes, at })
    }

    fn attribute(&mut self) -> Result<(&'t str, String), XmlError> {
        let name = self.name()?;
        self.blanks();
        if !self.text[self.at..].starts_with('=') {
            return Err(XmlError::new(self.at, format!("{name} lacks its value")));
        }
        self.at += 1;
        self.blanks();
        let at = self.at;
        let rest = &self.text[at..];
        let quote = rest.chars().next().filter(|mark| matches!(mark, '"' | '\''));
        let quote =
            quote.ok_or_else(|| XmlError::new(at, format!("the value of {name} lacks its quotes")))?;
        let length = rest[1..].find(quote);
        let length =
            length.ok_or_else(|| XmlError::new(at, format!("the value of {name} is never closed")))?;
        let value = &rest[1..=length];
        if let Some(place) = value.find('<') {
            return Err(XmlError::new(at + 1 + place, format!("the value of {name} has a <; write &lt;")));
        }
        self.at += length + 2;
        Ok((name, plain(at + 1, value)?))
    }

    fn name(&mut self) -> Result<&'t str, XmlError> {
        let rest = &self.text[self.at..];
        let is_name =
            |character: char| character.is_alphanumeric() || matches!(character, ':' | '_' | '-' | '.');
        let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
        let begins_well = rest.starts_with(|first: char| first.is_alphabetic() || first == '_');
        if length == 0 || length > 64 || !begins_well {
            return Err(XmlError::new(self.at, "a name must stand here; a < that is meant is written &lt;"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn blanks(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let length = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at += length;
        length > 0
    }
}

/// Bytes before `mark`.
fn length_to(rest: &str, mark: &str, at: usize, what: &str) -> Result<usize, XmlError> {
    rest.find(mark).ok_or_else(|| XmlError::new(at, format!("{what} is never closed")))
}

/// With references replaced by what they stand for.
fn plain(at: usize, raw: &str) -> Result<String, XmlError> {
    let mut text = String::with_capacity(raw.len());
    let mut from = 0;
    while let Some(found) = raw[from..].find('&').map(|found| from + found) {
        text.push_str(&raw[from..found]);
        let end = raw[found..].find(';').filter(|length| *length <= 10).map(|length| found + length);
        let wrong = || {
            let said: String = raw[found..].chars().take(12).collect();
            let expected = "&amp; &lt; &gt; &quot; &apos; and characters by number are read";
            XmlError::new(at + found, format!("{said:?} stands for nothing known; {expected}"))
        };
        let end = end.ok_or_else(wrong)?;
        text.push(character(&raw[found + 1..end]).ok_or_else(wrong)?);
        from = end + 1;
    }
    text.push_str(&raw[from..]);
    Ok(text)
}

fn character(reference: &str) -> Option<char> {
    let number = match reference {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        other => other.strip_prefix('#')?,
    };
    let number = match number.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(number)
        .filter(|character| !character.is_control() || matches!(character, '\t' | '\n' | '\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, (usize, usize, String)> {
        let (mut reader, mut told) = (Reader::new(text), String::new());
        loop {
            match reader.read() {
                Ok(None) => return Ok(told),
                Ok(Some(Node::Start(element))) => {
                    told.push('<');
                    told.push_str(element.name);
                    for (name, value) in &element.attributes {
                        told.extend([" ", name, "=", &format!("{value:?}")]);
                    }
                    told.push('>');
                }
                Ok(Some(Node::End)) => told.push_str("</>"),
                Ok(Some(Node::Text { text, .. })) => told.push_str(&text),
                Err(error) => {
                    let (line, column) = line_and_column(text, error.at);
                    return Err((line, column, error.problem));
                }
            }
        }
    }

    #[test]
    fn a_document_is_read_node_by_node() {
        for (text, told) in [
            ("<a/>", "<a></>"),
            (
                "<?xml version='1.0'?>\n<a b='1' c = \"x &amp; y\">t&lt;<!-- <no> --><d:e/>&#65;&#x42;</a> ",
                "<a b=\"1\" c=\"x & y\">t<<d:e></>AB</>",
            ),
            ("\u{feff}<a><![CDATA[<b> &amp;]]></a>", "<a><b> &amp;</>"),
            ("<ä ö='ü'>ß</ä>", "<ä ö=\"ü\">ß</>"),
        ] {
            assert_eq!(read(text), Ok(told.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused_with_its_place() {
        for (text, line, column, problem) in [
            ("", 1, 1, "there is no element"),
            ("<a>\n  <b></a>", 2, 6, "</a> stands where </b> must"),
            ("<a><b>", 1, 4, "<b> is never closed"),
            ("<a/><b/>", 1, 5, "second outermost"),
            ("<a/>x", 1, 5, "outside"),
            ("</a>", 1, 1, "closes nothing"),
            ("<a b>", 1, 5, "b lacks its value"),
            ("<a b=1/>", 1, 6, "lacks its quotes"),
            ("<a b='1/>", 1, 6, "never closed"),
            ("<a b='1' b='2'/>", 1, 1, "twice"),
            ("<a b='<'/>", 1, 7, "write &lt;"),
            ("<a", 1, 3, "lacks its >"),
            ("<a>1 < 2</a>", 1, 7, "written &lt;"),
            ("<a>ä &uuml;</a>", 1, 6, "\"&uuml;\" stands for nothing known"),
            ("<a>&</a>", 1, 4, "stands for nothing known"),
            ("<a>&#0;</a>", 1, 4, "stands for nothing known"),
            ("<a><!-- </a>", 1, 4, "a comment is never closed"),
            ("<a><?php x?></a>", 1, 4, "processing instructions"),
            ("<!DOCTYPE a [<!ENTITY b 'bb'>]><a>&b;</a>", 1, 1, "document types"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.0, error.1), (line, column), "{text}: {}", error.2);
            assert!(error.2.contains(problem), "{text}: {}", error.2);
        }
        let deep = "<a>".repeat(33);
        assert!(read(&deep).unwrap_err().2.contains("32 deep"));
        assert!(read(&format!("<{}/>", "a".repeat(65))).is_err());
    }

    #[test]
    fn whatever_is_sent_ends() {
        for bait in ["<", "&", "<a ", "<!--", "]]>", "<a b='", "&#x", "<?xml "] {
            let text = bait.repeat(20_000);
            assert!(read(&text).is_err());
        }
    }
}
