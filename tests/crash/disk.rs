//! A disk that forgets what was not synced.
//!
//! The server's calls are recorded by `layers/disk.c`. Here the record is played, and [`Disk::leave`] makes the folder as a
//! loss of power would leave it. What was synced is there. Of the rest, page by page and name by name, anything may be:
//! of a file's unsynced writes each page has seen any number of its own, its length is any it has had, and of a folder's
//! unsynced names any may be there, or gone, or still what they were. That is more than any file system in use forgets, so
//! what survives it does not rely on one of them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::Dice;

const PAGE: usize = 4096;

/// A call, as it was recorded.
#[derive(Debug)]
pub(crate) enum Call {
    Create {
        file: u64,
        path: PathBuf,
    },
    Write {
        file: u64,
        place: usize,
        bytes: Vec<u8>,
    },
    Resize {
        file: u64,
        size: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    MakeFolder {
        file: u64,
        path: PathBuf,
    },
    RemoveFolder {
        path: PathBuf,
    },
    SyncBegins {
        file: u64,
        number: u64,
    },
    SyncEnds {
        number: u64,
    },
    /// A client writes into the same record what it was promised.
    Promise {
        words: String,
    },
}

/// Reads a record. The last note may be cut off by the kill.
pub(crate) fn read_record(bytes: &[u8]) -> Vec<Call> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let path = |bytes: &[u8]| PathBuf::from(String::from_utf8(bytes.to_vec()).unwrap());
    let mut rest = bytes;
    let mut calls = Vec::new();
    while let Some((head, tail)) = rest.split_at_checked(25) {
        let (file, place, length) =
            (number(&head[1..9]), number(&head[9..17]), number(&head[17..25]) as usize);
        let Some((text, tail)) = tail.split_at_checked(length) else { break };
        rest = tail;
        calls.push(match head[0] {
            b'C' => Call::Create { file, path: path(text) },
            b'W' => Call::Write { file, place: place as usize, bytes: text.to_vec() },
            b'T' => Call::Resize { file, size: place as usize },
            b'R' => {
                let middle = text.iter().position(|byte| *byte == 0).unwrap();
                Call::Rename { from: path(&text[..middle]), to: path(&text[middle + 1..]) }
            }
            b'U' => Call::Unlink { path: path(text) },
            b'M' => Call::MakeFolder { file, path: path(text) },
            b'K' => Call::RemoveFolder { path: path(text) },
            b'B' => Call::SyncBegins { file, number: place },
            b'E' => Call::SyncEnds { number: place },
            b'P' => Call::Promise { words: String::from_utf8(text.to_vec()).unwrap() },
            other => panic!("a note of kind {other}"),
        });
    }
    calls
}

/// A note that a client adds to the record.
pub(crate) fn promise(words: &str) -> Vec<u8> {
    let mut note = vec![b'P'];
    note.extend([0; 16]);
    note.extend((words.len() as u64).to_le_bytes());
    note.extend(words.as_bytes());
    note
}

/// What of the unsynced a loss of power leaves.
#[derive(Debug)]
pub(crate) enum Luck<'a> {
    Nothing,
    Everything,
    Some(&'a mut Dice),
}

/// Syncs that the disk only pretends to do; to see that the tests would notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lie {
    #[default]
    None,
    /// Of the database and its log.
    Database,
    /// Of every other file.
    Files,
    /// Of folders, and so of names.
    Folders,
}

#[derive(Clone, Debug)]
enum Change {
    Write { place: usize, bytes: Vec<u8> },
    Resize { size: usize },
}

#[derive(Clone, Debug)]
enum Naming {
    Set { name: String, node: usize },
    Remove { name: String },
    Rename { from: String, to: String, node: usize },
}

/// What is certain, and what happened since and is not.
#[derive(Clone, Debug)]
enum Node {
    File {
        name: String,
        certain: Vec<u8>,
        since: Vec<Change>,
        settled: usize,
    },
    Folder {
        certain: BTreeMap<String, usize>,
        since: Vec<Naming>,
        settled: usize,
        now: BTreeMap<String, usize>,
    },
}

#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    /// The system's numbers are used again after a file is gone; the last one that had it is meant.
    by_number: HashMap<u64, usize>,
    /// Syncs on their way: which node, and how much of what happened to it they cover.
    syncing: HashMap<u64, (usize, usize)>,
    lie: Lie,
}

impl Disk {
    /// The folder as it is, all of it certain.
    pub(crate) fn of(root: &Path, lie: Lie) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            nodes: Vec::new(),
            by_number: HashMap::new(),
            syncing: HashMap::new(),
            lie,
        };
        disk.take_in(root);
        disk
    }

    fn take_in(&mut self, path: &Path) -> usize {
        use std::os::unix::fs::MetadataExt;
        let index = self.nodes.len();
        let metadata = std::fs::metadata(path).unwrap();
        self.by_number.insert(metadata.ino(), index);
        if metadata.is_dir() {
            self.nodes.push(new_folder());
            for entry in std::fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                let inner = self.take_in(&entry.path());
                let Node::Folder { certain, now, .. } = &mut self.nodes[index] else { unreachable!() };
                let name = entry.file_name().into_string().unwrap();
                certain.insert(name.clone(), inner);
                now.insert(name, inner);
            }
        } else {
            self.nodes.push(new_file(path, std::fs::read(path).unwrap()));
        }
        index
    }

    /// Plays one call.
    pub(crate) fn play(&mut self, call: &Call) {
        match call {
            Call::Create { file, path } => self.add(*file, path, new_file(path, Vec::new())),
            Call::MakeFolder { file, path } => self.add(*file, path, new_folder()),
            Call::Write { file, place, bytes } => {
                self.change(*file, Change::Write { place: *place, bytes: bytes.clone() });
            }
            Call::Resize { file, size } => self.change(*file, Change::Resize { size: *size }),
            Call::Unlink { path } | Call::RemoveFolder { path } => {
                self.name(path, |name| Naming::Remove { name });
            }
            Call::Rename { from, to } => {
                let node = self.find(from).unwrap();
                let target = name_of(to);
                if from.parent() == to.parent() {
                    self.name(from, |from| Naming::Rename { from, to: target, node });
                } else {
                    self.name(from, |name| Naming::Remove { name });
                    self.name(to, |name| Naming::Set { name, node });
                }
            }
            Call::SyncBegins { file, number } => {
                let node = self.by_number[file];
                let (is_lie, until) = match &self.nodes[node] {
                    Node::Folder { since, settled, .. } => (self.lie == Lie::Folders, settled + since.len()),
                    Node::File { name, since, settled, .. } => {
                        let lie = if name.starts_with("declaim.db") { Lie::Database } else { Lie::Files };
                        (self.lie == lie, settled + since.len())
                    }
                };
                if !is_lie {
                    self.syncing.insert(*number, (node, until));
                }
            }
            Call::SyncEnds { number } => {
                if let Some((node, until)) = self.syncing.remove(number) {
                    settle(&mut self.nodes[node], until);
                }
            }
            Call::Promise { .. } => {}
        }
    }

    fn add(&mut self, number: u64, path: &Path, node: Node) {
        let index = self.nodes.len();
        self.nodes.push(node);
        self.by_number.insert(number, index);
        self.name(path, |name| Naming::Set { name, node: index });
    }

    fn change(&mut self, number: u64, change: Change) {
        let Node::File { since, .. } = &mut self.nodes[self.by_number[&number]] else {
            panic!("a folder was written to");
        };
        since.push(change);
    }

    fn name(&mut self, path: &Path, naming: impl FnOnce(String) -> Naming) {
        let folder = self.find(path.parent().unwrap()).unwrap();
        let Node::Folder { since, now, .. } = &mut self.nodes[folder] else { panic!("names in a file") };
        let naming = naming(name_of(path));
        name(now, &naming);
        since.push(naming);
    }

    /// What stands under a path now, synced or not.
    fn find(&self, path: &Path) -> Option<usize> {
        let mut node = 0;
        for part in path.strip_prefix(&self.root).unwrap() {
            let Node::Folder { now, .. } = &self.nodes[node] else { return None };
            node = *now.get(part.to_str().unwrap())?;
        }
        Some(node)
    }

    /// Makes the folder at `to` as it would be found after a loss of power in this moment. `to` must not be there.
    pub(crate) fn leave(&self, to: &Path, luck: &mut Luck) {
        self.leave_node(0, to, luck);
    }

    fn leave_node(&self, node: usize, to: &Path, luck: &mut Luck) {
        match &self.nodes[node] {
            Node::File { name, .. } if name.ends_with("-shm") => {
                // Memory that processes share, never synced: gone, or anything.
                if let Luck::Some(dice) = luck
                    && dice.below(2) == 0
                {
                    let noise: Vec<u8> = (0..32_768 / 8).flat_map(|_| dice.roll().to_le_bytes()).collect();
                    std::fs::write(to, noise).unwrap();
                }
            }
            Node::File { certain, since, .. } => std::fs::write(to, contents(certain, since, luck)).unwrap(),
            Node::Folder { certain, since, .. } => {
                std::fs::create_dir(to).unwrap();
                let mut names = certain.clone();
                for naming in since {
                    let is_kept = match luck {
                        Luck::Nothing => false,
                        Luck::Everything => true,
                        Luck::Some(dice) => dice.below(2) == 0,
                    };
                    if is_kept {
                        name(&mut names, naming);
                    }
                }
                for (name, inner) in names {
                    self.leave_node(inner, &to.join(name), luck);
                }
            }
        }
    }
}

fn new_file(path: &Path, certain: Vec<u8>) -> Node {
    Node::File { name: name_of(path), certain, since: Vec::new(), settled: 0 }
}

fn new_folder() -> Node {
    Node::Folder { certain: BTreeMap::new(), since: Vec::new(), settled: 0, now: BTreeMap::new() }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn name(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Set { name, node } => {
            names.insert(name.clone(), *node);
        }
        Naming::Remove { name } => {
            names.remove(name);
        }
        Naming::Rename { from, to, node } => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}

/// What happened to a node up to its `until`th change is certain from now on.
fn settle(node: &mut Node, until: usize) {
    match node {
        Node::File { certain, since, settled, .. } => {
            for change in since.drain(..until.saturating_sub(*settled)) {
                apply(certain, &change);
            }
            *settled = until.max(*settled);
        }
        Node::Folder { certain, since, settled, .. } => {
            for naming in since.drain(..until.saturating_sub(*settled)) {
                name(certain, &naming);
            }
            *settled = until.max(*settled);
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { place, bytes: written } => {
            let end = place + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*place..end].copy_from_slice(written);
        }
        Change::Resize { size } => bytes.resize(*size, 0),
    }
}

fn contents(certain: &[u8], since: &[Change], luck: &mut Luck) -> Vec<u8> {
    let mut bytes = certain.to_vec();
    match luck {
        Luck::Nothing => {}
        Luck::Everything => since.iter().for_each(|change| apply(&mut bytes, change)),
        Luck::Some(dice) => {
            let mut any = || dice.below(since.len() as u64 + 1) as usize;
            let size = since[..any()].iter().fold(certain.len(), |size, change| match change {
                Change::Write { place, bytes } => size.max(place + bytes.len()),
                Change::Resize { size } => *size,
            });
            bytes.resize(size, 0);
            for (number, page) in bytes.chunks_mut(PAGE).enumerate() {
                page.fill(0);
                let begin = number * PAGE;
                lay(page, begin, 0, certain);
                for change in &since[..any()] {
                    match change {
                        Change::Write { place, bytes } => lay(page, begin, *place, bytes),
                        Change::Resize { size } => {
                            let kept = size.saturating_sub(begin).min(page.len());
                            page[kept..].fill(0);
                        }
                    }
                }
            }
        }
    }
    bytes
}

/// Lays what of `bytes`, which begin at `place` of the file, falls on the page that begins at `begin`.
fn lay(page: &mut [u8], begin: usize, place: usize, bytes: &[u8]) {
    let (from, to) = (place.max(begin), (place + bytes.len()).min(begin + page.len()));
    if from < to {
        page[from - begin..to - begin].copy_from_slice(&bytes[from - place..to - place]);
    }
}
