//! The row of an entry: fixed fields first, little-endian, then its touches, then what is left of it, then the JSON of
//! why it is parked.

use std::num::NonZeroU64;

use megamind_domain::{Endpoint, EntityKey, Role, Time, Touch, Touches};

use super::{Progress, Queued, Retry};

/// The version of this layout, the first byte of every row.
const VERSION: u8 = 1;

/// The same layout, of an entry of which only some items are left.
const IN_PART: u8 = 2;

const UNKNOWN: u8 = 1;
const SLOT: u8 = 2;
const SENT: u8 = 4;
const BUNDLE: u8 = 16;
const FIELDS: u8 = 32;
const OUTDATED: u8 = 64;
const SEALED: u8 = 8;
const INSISTED: u8 = 128;

/// In the byte that counts new keys.
const KEPT_KEY: u8 = 128;

/// The row of an entry.
pub(crate) fn pack(entry: &Queued) -> Vec<u8> {
    let mut row = Vec::with_capacity(40 + 9 * entry.touches.len());
    let sent = match entry.progress {
        Progress::NeverSent => None,
        Progress::Attempting { since } | Progress::PossiblyApplied { since } => Some(since),
    };
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    row.push(if entry.left.is_some() { IN_PART } else { VERSION });
    row.push(
        flag(entry.unknown, UNKNOWN)
            | flag(entry.slot.is_some(), SLOT)
            | flag(sent.is_some(), SENT)
            | flag(entry.sealed, SEALED)
            | flag(entry.bundle.is_some(), BUNDLE)
            | flag(entry.fields != 0, FIELDS)
            | flag(entry.outdated, OUTDATED)
            | flag(entry.retry.insisted, INSISTED),
    );
    row.push(entry.rekeyed.min(KEPT_KEY - 1) | flag(entry.retry.kept_key, KEPT_KEY));
    row.extend_from_slice(&entry.endpoint.0.to_le_bytes());
    row.extend_from_slice(&entry.attempts.to_le_bytes());
    row.extend_from_slice(&entry.at.0.to_le_bytes());
    if let Some(EntityKey(slot)) = entry.slot {
        row.extend_from_slice(&slot.to_le_bytes());
    }
    if let Some(Time(since)) = sent {
        row.extend_from_slice(&since.to_le_bytes());
    }
    if let Some(bundle) = entry.bundle {
        row.extend_from_slice(&bundle.get().to_le_bytes());
    }
    if entry.fields != 0 {
        row.extend_from_slice(&entry.fields.to_le_bytes());
    }
    row.extend_from_slice(&(entry.touches.len() as u16).to_le_bytes());
    for touch in entry.touches.iter().take(usize::from(u16::MAX)) {
        row.push(match touch.role {
            Role::Subject => 0,
            Role::Actor => 1,
            Role::Row => 2,
        });
        row.extend_from_slice(&touch.key.0.to_le_bytes());
    }
    if let Some(left) = &entry.left {
        row.extend_from_slice(&(left.len() as u32).to_le_bytes());
        for place in left {
            row.extend_from_slice(&place.to_le_bytes());
        }
    }
    if let Some(parked) = &entry.parked {
        // Writing to memory cannot fail, and all keys are strings.
        let written = serde_json::to_writer(&mut row, parked);
        debug_assert!(written.is_ok(), "{written:?}");
    }
    row
}

/// The inverse of [`pack`], except that an attempt that was under way may have been applied.
pub(crate) fn unpack(row: &[u8]) -> Option<Queued> {
    let mut rest = row;
    let [version, flags, keys] = take(&mut rest)?;
    if !matches!(version, VERSION | IN_PART) {
        return None;
    }
    let endpoint = Endpoint(u16::from_le_bytes(take(&mut rest)?));
    let attempts = u32::from_le_bytes(take(&mut rest)?);
    let at = Time(i64::from_le_bytes(take(&mut rest)?));
    let slot = match flags & SLOT {
        0 => None,
        _ => Some(EntityKey(u64::from_le_bytes(take(&mut rest)?))),
    };
    let progress = match flags & SENT {
        0 => Progress::NeverSent,
        _ => Progress::PossiblyApplied { since: Time(i64::from_le_bytes(take(&mut rest)?)) },
    };
    let bundle = match flags & BUNDLE {
        0 => None,
        _ => NonZeroU64::new(u64::from_le_bytes(take(&mut rest)?)),
    };
    let fields = match flags & FIELDS {
        0 => 0,
        _ => u32::from_le_bytes(take(&mut rest)?),
    };
    let mut touches = Touches::new();
    for _ in 0..u16::from_le_bytes(take(&mut rest)?) {
        let role = match take(&mut rest)? {
            [0] => Role::Subject,
            [1] => Role::Actor,
            [2] => Role::Row,
            _ => return None,
        };
        let key = EntityKey(u64::from_le_bytes(take(&mut rest)?));
        touches.push(Touch { key, role });
    }
    let left = match version {
        IN_PART => Some(places(&mut rest)?),
        _ => None,
    };
    let parked = match rest {
        [] => None,
        json => Some(serde_json::from_slice(json).ok()?),
    };
    Some(Queued {
        at,
        touches,
        slot,
        fields,
        bundle,
        parked,
        left,
        progress,
        attempts,
        endpoint,
        rekeyed: keys & !KEPT_KEY,
        unknown: flags & UNKNOWN != 0,
        sealed: flags & SEALED != 0,
        outdated: flags & OUTDATED != 0,
        retry: Retry { kept_key: keys & KEPT_KEY != 0, insisted: flags & INSISTED != 0 },
    })
}

fn places(rest: &mut &[u8]) -> Option<Box<[u32]>> {
    let count = u32::from_le_bytes(take(rest)?);
    (0..count).map(|_| take(rest).map(u32::from_le_bytes)).collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}
