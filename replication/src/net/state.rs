//! What the network keeps on disk: the incarnation last used, and the members last known.
//!
//! A small text file, replaced as a whole. A missing or damaged file costs nothing but the shortcut it offers: the
//! incarnation then comes from the clock, and the members from those the node joins through.
//!
//! ```text
//! trellis network 1
//! incarnation 1764000000000
//! member 0b7c…e1 1763999999000 10.0.0.2:7432
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::protocol::{Address, ClusterId, Incarnation, NodeIdentity, Persisted};
use crate::types::SiteId;

const FILE_NAME: &str = "network";
const HEADER: &str = "trellis network 1";

/// The file's place in the state directory.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE_NAME)
}

/// Reads what was kept; of a damaged file, what is legible.
pub(super) fn load(path: &Path, cluster: ClusterId) -> io::Result<Persisted> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Persisted::default()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(error),
    };
    let mut kept = Persisted::default();
    if !text.starts_with(HEADER) {
        tracing::warn!(path = %path.display(), "network state is damaged, starting without it");
    }
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["incarnation", number] => {
                kept.incarnation = Incarnation(number.parse().unwrap_or_default());
            }
            ["member", site, incarnation, address] => {
                kept.members.extend(member(cluster, site, incarnation, address));
            }
            _ => {}
        }
    }
    Ok(kept)
}

fn member(cluster: ClusterId, site: &str, number: &str, address: &str) -> Option<NodeIdentity> {
    let site = SiteId(u128::from_str_radix(site, 16).ok()?.to_be_bytes());
    let incarnation = Incarnation(number.parse().ok()?);
    Some(NodeIdentity { site, address: Address::new(address).ok()?, incarnation, cluster })
}

/// Replaces what was kept, durably.
pub(super) fn save(path: &Path, state: &Persisted) -> io::Result<()> {
    let mut text = format!("{HEADER}\nincarnation {}\n", state.incarnation.0);
    for member in &state.members {
        let line = format!("member {} {} {}\n", member.site, member.incarnation.0, member.address);
        text.push_str(&line);
    }
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
