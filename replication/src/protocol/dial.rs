//! Making connections: to the addresses a node was told to join through, and to members as they are needed.
//!
//! Addresses to join through are tried for ever, ever more slowly, whenever the site behind them is not a living
//! member. Members are dialled when something is to be sent to them, and dead ones now and then, which is how the two
//! halves of a healed partition find each other again.
//!
//! # Bounds
//! One attempt at a time per address or site; after a failure the next waits from
//! [`REDIAL_MIN`] up to [`REDIAL_MAX`], with jitter. A few
//! datagrams wait for the connection, oldest dropped.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::types::SiteId;

use super::limits::{DIAL_PENDING_DATAGRAMS_MAX, REDIAL_MAX, REDIAL_MIN};
use super::{Address, DialId, Span, Time};

/// Waiting times after failures.
#[derive(Default)]
struct Backoff {
    failures: u32,
    not_before: Time,
}

impl Backoff {
    fn fail(&mut self, now: Time, rng: &mut StdRng) {
        let wait = REDIAL_MIN.times(1 << self.failures.min(10)).min(REDIAL_MAX);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + Span(rng.random_range(wait.0 / 2..=wait.0));
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// An address to join through.
struct Contact {
    address: Address,
    /// The site that answered there last.
    site: Option<SiteId>,
    dialling: bool,
    backoff: Backoff,
}

/// A member being dialled, or not to be dialled yet.
#[derive(Default)]
struct SiteDial {
    dialling: bool,
    backoff: Backoff,
    datagrams: VecDeque<Bytes>,
}

/// What an attempt is for.
#[derive(Clone, Copy)]
enum Target {
    Contact(usize),
    Site(SiteId),
}

/// All attempts.
pub(super) struct Dials {
    contacts: Vec<Contact>,
    sites: BTreeMap<SiteId, SiteDial>,
    under_way: BTreeMap<DialId, Target>,
    count: u64,
}

impl Dials {
    pub(super) fn new(join: Vec<Address>) -> Self {
        let contacts = join
            .into_iter()
            .map(|address| Contact {
                address,
                site: None,
                dialling: false,
                backoff: Backoff::default(),
            })
            .collect();
        Self { contacts, sites: BTreeMap::new(), under_way: BTreeMap::new(), count: 0 }
    }

    fn start(&mut self, target: Target) -> DialId {
        self.count += 1;
        let dial = DialId(self.count);
        self.under_way.insert(dial, target);
        dial
    }

    /// Starts to dial a member, unless that is under way or too early.
    pub(super) fn dial_site(&mut self, now: Time, site: SiteId) -> Option<DialId> {
        let entry = self.sites.entry(site).or_default();
        if entry.dialling || entry.backoff.not_before > now {
            return None;
        }
        entry.dialling = true;
        Some(self.start(Target::Site(site)))
    }

    /// Keeps a datagram for a member that is being dialled.
    pub(super) fn keep_datagram(&mut self, site: SiteId, datagram: Bytes) {
        if let Some(entry) = self.sites.get_mut(&site)
            && entry.dialling
        {
            if entry.datagrams.len() >= DIAL_PENDING_DATAGRAMS_MAX {
                entry.datagrams.pop_front();
            }
            entry.datagrams.push_back(datagram);
        }
    }

    /// Starts to dial the contacts that are due and behind which no site that `is_alive` is known.
    pub(super) fn dial_contacts(
        &mut self,
        now: Time,
        is_alive: impl Fn(SiteId) -> bool,
    ) -> Vec<(DialId, Address)> {
        let mut started = Vec::new();
        for index in 0..self.contacts.len() {
            let Some(contact) = self.contacts.get_mut(index) else {
                continue;
            };
            let waits = contact.dialling || contact.backoff.not_before > now;
            if waits || contact.site.is_some_and(&is_alive) {
                continue;
            }
            contact.dialling = true;
            let address = contact.address.clone();
            started.push((self.start(Target::Contact(index)), address));
        }
        started
    }

    /// An attempt has reached nobody, or somebody who does not belong.
    pub(super) fn fail(&mut self, now: Time, dial: DialId, rng: &mut StdRng) -> Option<SiteId> {
        match self.under_way.remove(&dial)? {
            Target::Contact(index) => {
                let contact = self.contacts.get_mut(index)?;
                contact.dialling = false;
                contact.site = None;
                contact.backoff.fail(now, rng);
                None
            }
            Target::Site(site) => {
                let entry = self.sites.entry(site).or_default();
                entry.dialling = false;
                entry.datagrams.clear();
                entry.backoff.fail(now, rng);
                Some(site)
            }
        }
    }

    /// An attempt has reached `site`.
    pub(super) fn succeed(&mut self, now: Time, dial: DialId, site: SiteId, rng: &mut StdRng) {
        match self.under_way.remove(&dial) {
            Some(Target::Contact(index)) => {
                if let Some(contact) = self.contacts.get_mut(index) {
                    contact.dialling = false;
                    contact.site = Some(site);
                    contact.backoff.clear();
                }
            }
            Some(Target::Site(meant)) if meant != site => {
                let entry = self.sites.entry(meant).or_default();
                entry.dialling = false;
                entry.backoff.fail(now, rng);
            }
            Some(Target::Site(_)) | None => {}
        }
    }

    /// A connection to `site` is up, whoever made it. Returns what waited for it.
    pub(super) fn connected(&mut self, site: SiteId) -> VecDeque<Bytes> {
        self.sites.remove(&site).map(|entry| entry.datagrams).unwrap_or_default()
    }
}
