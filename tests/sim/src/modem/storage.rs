//! The memories that messages are stored in.

use std::collections::BTreeMap;

/// How a stored message is marked (`<stat>` of 3GPP TS 27.005 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Unread = 0,
    Read = 1,
}

#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) mark: Mark,
    /// In hexadecimal, with the service centre in front.
    pub(super) pdu: String,
}

impl Stored {
    /// The length that a listing shows: without the service centre.
    pub(super) fn length(&self) -> usize {
        tpdu_length(&self.pdu)
    }
}

/// Octets of a PDU in hexadecimal behind its service centre address.
pub(super) fn tpdu_length(pdu: &str) -> usize {
    let smsc = pdu
        .get(..2)
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .unwrap_or(0);
    (pdu.len() / 2).saturating_sub(smsc + 1)
}

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) capacity: u16,
    slots: BTreeMap<u16, Stored>,
}

impl Memory {
    pub(super) fn new(capacity: u16) -> Self {
        Self { capacity, slots: BTreeMap::new() }
    }

    pub(super) fn used(&self) -> usize {
        self.slots.len()
    }

    /// Stores in the first free place; `None` when there is none.
    pub(super) fn store(&mut self, pdu: String) -> Option<u16> {
        let index = (1..=self.capacity).find(|index| !self.slots.contains_key(index))?;
        let mark = Mark::Unread;
        self.slots.insert(index, Stored { mark, pdu });
        Some(index)
    }

    /// Reads, which marks as read.
    pub(super) fn read(&mut self, index: u16) -> Option<Stored> {
        let stored = self.slots.get_mut(&index)?;
        let before = stored.clone();
        stored.mark = Mark::Read;
        Some(before)
    }

    /// Lists what has the mark, or everything.
    pub(super) fn list(&mut self, mark: Option<Mark>) -> Vec<(u16, Stored)> {
        let indices: Vec<u16> = self
            .slots
            .iter()
            .filter(|(_, stored)| mark.is_none_or(|mark| stored.mark == mark))
            .map(|(index, _)| *index)
            .collect();
        indices
            .into_iter()
            .filter_map(|index| Some((index, self.read(index)?)))
            .collect()
    }

    pub(super) fn delete(&mut self, index: u16) -> bool {
        self.slots.remove(&index).is_some()
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
    }
}
