//! An entry as it is kept: most wait to be sent for the first time, and say no more than when and about what.

use megamind_domain::{Endpoint, EntityKey, Role, Time, Touch, Touches};
use smallvec::SmallVec;

use super::{Progress, Queued, Retry, SLOT_LINE};

/// Entities of a plain entry at most.
const MOST: usize = 2;

/// An entry in memory.
#[derive(Debug)]
pub(super) enum Kept {
    Plain(Plain),
    Full(Box<Queued>),
}

/// One that was never sent, and has nothing special about it.
#[derive(Debug)]
pub(super) struct Plain {
    at: Time,
    touches: [Packed; MOST],
    endpoint: Endpoint,
    sealed: bool,
}

/// A touch in one number: the key, and in the last two bits the role; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Packed(u64);

impl Packed {
    fn of(touch: Touch) -> Option<Self> {
        let role = match touch.role {
            Role::Subject => 1,
            Role::Actor => 2,
            Role::Row => 3,
        };
        (touch.key.0 < 1 << 61).then_some(Self(touch.key.0 << 2 | role))
    }

    fn touch(self) -> Option<Touch> {
        let role = match self.0 & 3 {
            1 => Role::Subject,
            2 => Role::Actor,
            3 => Role::Row,
            _ => return None,
        };
        Some(Touch { key: EntityKey(self.0 >> 2), role })
    }
}

impl From<Queued> for Kept {
    fn from(entry: Queued) -> Self {
        match plain(&entry) {
            Some(plain) => Kept::Plain(plain),
            None => Kept::Full(Box::new(entry)),
        }
    }
}

fn plain(entry: &Queued) -> Option<Plain> {
    let is_plain = entry.slot.is_none()
        && entry.bundle.is_none()
        && entry.parked.is_none()
        && entry.left.is_none()
        && entry.progress == Progress::NeverSent
        && (entry.attempts, entry.rekeyed) == (0, 0)
        && !entry.unknown
        && entry.retry == Retry::default()
        && entry.touches.len() <= MOST;
    if !is_plain {
        return None;
    }
    let mut touches = [Packed::default(); MOST];
    for (packed, touch) in touches.iter_mut().zip(&entry.touches) {
        *packed = Packed::of(*touch)?;
    }
    Some(Plain { at: entry.at, touches, endpoint: entry.endpoint, sealed: entry.sealed })
}

impl Plain {
    fn touches(&self) -> Touches {
        self.touches.iter().filter_map(|packed| packed.touch()).collect()
    }

    fn queued(&self) -> Queued {
        Queued { sealed: self.sealed, ..Queued::new(self.endpoint, self.at, self.touches()) }
    }
}

impl Kept {
    /// All of it.
    pub(super) fn queued(&self) -> Queued {
        match self {
            Kept::Plain(plain) => plain.queued(),
            Kept::Full(entry) => Queued::clone(entry),
        }
    }

    pub(super) fn into_queued(self) -> Queued {
        match self {
            Kept::Plain(plain) => plain.queued(),
            Kept::Full(entry) => *entry,
        }
    }

    pub(super) fn at(&self) -> Time {
        match self {
            Kept::Plain(plain) => plain.at,
            Kept::Full(entry) => entry.at,
        }
    }

    /// Subjects and actors.
    pub(super) fn touches(&self) -> Touches {
        match self {
            Kept::Plain(plain) => plain.touches(),
            Kept::Full(entry) => entry.touches.clone(),
        }
    }

    /// The lines that it stands in: those of its entities, or that of its slot.
    pub(super) fn lines(&self) -> SmallVec<[EntityKey; 3]> {
        let slot = self.slot().map(|EntityKey(slot)| EntityKey(slot | SLOT_LINE));
        self.touches().iter().map(|touch| touch.key).chain(slot).collect()
    }

    pub(super) fn slot(&self) -> Option<EntityKey> {
        match self {
            Kept::Plain(_) => None,
            Kept::Full(entry) => entry.slot,
        }
    }

    pub(super) fn bundle(&self) -> Option<u64> {
        match self {
            Kept::Plain(_) => None,
            Kept::Full(entry) => entry.bundle.map(std::num::NonZeroU64::get),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn entry(keys: &[u64]) -> Queued {
        let roles = [Role::Subject, Role::Actor, Role::Subject];
        let touches = keys.iter().zip(roles).map(|(key, role)| Touch { key: EntityKey(*key), role });
        Queued { sealed: true, ..Queued::new(Endpoint(7), Time(-5), touches.collect()) }
    }

    #[test]
    fn nothing_is_lost() {
        for (entry, is_plain) in [
            (entry(&[]), true),
            (entry(&[1]), true),
            (entry(&[9, 1 << 60]), true),
            (entry(&[1, 2, 3]), false),
            (entry(&[1 << 61]), false),
            (Queued { attempts: 1, ..entry(&[1]) }, false),
            (Queued { left: Some([3].into()), ..entry(&[1]) }, false),
            (Queued { slot: Some(EntityKey(4)), ..entry(&[]) }, false),
            (Queued { bundle: NonZeroU64::new(2), ..entry(&[]) }, false),
            (Queued { progress: Progress::Attempting { since: Time(1) }, ..entry(&[1]) }, false),
        ] {
            let kept = Kept::from(entry.clone());
            assert_eq!(matches!(kept, Kept::Plain(_)), is_plain, "{entry:?}");
            assert_eq!(
                (kept.queued(), kept.at(), kept.touches()),
                (entry.clone(), entry.at, entry.touches.clone())
            );
            assert_eq!(kept.into_queued(), entry);
        }
    }

    #[test]
    fn a_plain_entry_is_small() {
        assert!(size_of::<Kept>() <= 32, "{}", size_of::<Kept>());
    }
}
