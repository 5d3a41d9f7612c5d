//! Whether a folder is on another machine's disk, where SQLite is not safe: its log of writes needs memory that machines do
//! not share, and the locks of many of these systems hold for one machine only.
//!
//! Linux tells by name; the numbers of `statfs` do not tell sshfs from other FUSE systems. Elsewhere nothing is said.

use std::path::Path;

/// Those that several machines use at once, by their names in `/proc/self/mountinfo`.
const SHARED: [&str; 13] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "lustre",
    "fuse.sshfs",
    "fuse.rclone",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.s3fs",
];

/// The host's folders in a virtual machine (WSL, Docker Desktop): slow and with locks of their own, but of one machine.
const OF_THE_HOST: [&str; 1] = ["9p"];

/// A file system that is not this machine's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The system's name for it, such as `nfs4`.
    pub kind: String,
    /// Several machines may use it at once.
    pub is_shared: bool,
}

/// The file system of a folder, or of the nearest one above it that is there, if it is not this machine's own.
pub fn foreign(folder: &Path) -> Option<Foreign> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let absolute = std::path::absolute(folder).ok()?;
    let there = absolute.ancestors().find_map(|path| path.canonicalize().ok())?;
    let kind = kind_of(&mounts, &there)?;
    let is_shared = SHARED.contains(&kind);
    (is_shared || OF_THE_HOST.contains(&kind)).then(|| Foreign { kind: kind.to_owned(), is_shared })
}

/// What is mounted nearest above a path; the last one counts where several are at one place.
fn kind_of<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    mounts
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let place = unescaped(before.split(' ').nth(4)?);
            path.starts_with(&place).then(|| (place.len(), after.split(' ').next()))
        })
        // Of several that are equal, the last.
        .max_by_key(|(length, _kind)| *length)
        .and_then(|(_length, kind)| kind)
}

/// Blanks and the like stand as `\040`.
fn unescaped(place: &str) -> String {
    let mut pieces = place.split('\\');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            text.push(char::from(code));
            text.push_str(&piece[3..]);
        } else {
            text.push('\\');
            text.push_str(piece);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/library rw - nfs4 nas:/library rw,vers=4.2
31 22 0:41 / /mnt/library/local rw - xfs /dev/sdb1 rw
32 22 0:42 / /mnt/with\\040blank rw - cifs //nas/share rw
33 22 0:43 / /home/me/remote rw - fuse.sshfs me@host:/ rw
34 22 0:44 / /mnt/c rw - 9p drvfs rw
35 22 0:45 / /mnt/twice rw - nfs nas:/a rw
36 22 0:46 / /mnt/twice rw - ext4 /dev/sdc1 rw";

    #[test]
    fn the_nearest_mount_above_a_path_tells_its_kind() {
        for (path, kind) in [
            ("/var/lib/declaim", "ext4"),
            ("/mnt/library/declaim", "nfs4"),
            ("/mnt/library", "nfs4"),
            ("/mnt/library-of-mine", "ext4"),
            ("/mnt/library/local/x", "xfs"),
            ("/mnt/with blank/x", "cifs"),
            ("/home/me/remote/x", "fuse.sshfs"),
            ("/mnt/c/Users/me", "9p"),
            ("/mnt/twice", "ext4"),
        ] {
            assert_eq!(kind_of(MOUNTS, Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(kind_of("", Path::new("/")), None);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_where_its_parent_is() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(foreign(&folder.path().join("not/there")), foreign(folder.path()));
    }
}
