//! Idempotency keys: which record holds the answer to a request seen before.
//!
//! On disk the keys of a batch are one column of its row (a table indexed by a random hash would cost three to four
//! times the commit); in memory they are one map, rebuilt at open.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use megamind_domain::{Endpoint, Parsed, Request, Time};

use crate::{checksum::Sum, timekeeping::Ages, write::Key};

/// Endpoint, subject and key (or natural content), hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope(u128);

impl Scope {
    /// That of a part of the request.
    pub(crate) fn part(self, name: &str) -> Self {
        let mut scope = Sum::new();
        scope.bytes(&self.0.to_le_bytes()).bytes(name.as_bytes());
        Self(scope.long())
    }

    /// Half of it.
    pub(crate) fn number(self) -> u64 {
        self.0 as u64
    }
}

/// One key of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) scope: Scope,
    /// The content of the request, hashed.
    pub(crate) fingerprint: u64,
    /// The record with the answer.
    pub(crate) seq: u64,
    /// Whether the key is the client's own; the others count for a shorter time, and whatever their bytes are.
    pub(crate) from_client: bool,
}

impl KeyRow {
    /// The key of a write, without a record yet; `None` if its repetition could not be recognized.
    pub(crate) fn of<C>(endpoint: Endpoint, parsed: &Parsed<C>, request: &Request, key: Option<&Key>) -> Option<Self> {
        let client = key.filter(|key| key.from_client);
        let natural = parsed.natural.as_deref();
        let text = client.map(|key| key.text.as_bytes()).or(natural)?;
        let mut scope = Sum::new();
        scope
            .number(u64::from(endpoint.0))
            .number(u64::from(client.is_some()))
            .bytes(parsed.subject.as_deref().unwrap_or("").as_bytes())
            .bytes(text);
        Some(Self {
            scope: Scope(scope.long()),
            fingerprint: fingerprint(request),
            seq: 0,
            from_client: client.is_some(),
        })
    }
}

fn fingerprint(request: &Request) -> u64 {
    let mut sum = Sum::new();
    sum.bytes(request.query.as_deref().unwrap_or("").as_bytes())
        .bytes(request.content_encoding.as_deref().unwrap_or("").as_bytes())
        .bytes(&request.body);
    sum.short() as u64
}

/// Bytes of one packed [`KeyRow`].
const PACKED: usize = 16 + 8 + 8 + 1;

/// The keys of a batch as one column.
pub(crate) fn pack(keys: &[KeyRow]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(keys.len() * PACKED);
    for key in keys {
        packed.extend_from_slice(&key.scope.0.to_le_bytes());
        packed.extend_from_slice(&key.fingerprint.to_le_bytes());
        packed.extend_from_slice(&key.seq.to_le_bytes());
        packed.push(u8::from(key.from_client));
    }
    packed
}

/// The inverse of [`pack`]; `None` for anything else.
pub(crate) fn unpack(packed: &[u8]) -> Option<Vec<KeyRow>> {
    let (rows, rest) = packed.as_chunks::<PACKED>();
    if !rest.is_empty() {
        return None;
    }
    rows.iter()
        .map(|row| {
            Some(KeyRow {
                scope: Scope(u128::from_le_bytes(row[..16].try_into().ok()?)),
                fingerprint: u64::from_le_bytes(row[16..24].try_into().ok()?),
                seq: u64::from_le_bytes(row[24..32].try_into().ok()?),
                from_client: row[32] != 0,
            })
        })
        .collect()
}

/// What is known under a scope.
#[derive(Clone, Copy, Debug)]
struct Known {
    seq: u64,
    fingerprint: u64,
    at: Time,
    from_client: bool,
}

/// A request compared with what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Never,
    /// The same request: the record with its answer.
    Before(u64),
    /// Another request under the same key.
    OtherContent,
}

/// All keys, bounded in number and age.
pub(crate) struct Keys {
    known: HashMap<Scope, Known>,
    by_age: VecDeque<(Time, Scope)>,
    max: usize,
    keep_millis: u64,
    natural_millis: u64,
}

impl Keys {
    pub(crate) fn new(max: usize, keep: Duration, natural_window: Duration) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            known: HashMap::new(),
            by_age: VecDeque::new(),
            max: max.max(1),
            keep_millis: millis(keep),
            natural_millis: millis(natural_window),
        }
    }

    pub(crate) fn look(&self, key: &KeyRow, ages: Ages) -> Seen {
        let Some(known) = self.known.get(&key.scope) else {
            return Seen::Never;
        };
        let window = if known.from_client { self.keep_millis } else { self.natural_millis };
        if ages.older(known.at, window) {
            Seen::Never
        } else {
            compare(key, known.fingerprint, known.seq)
        }
    }

    pub(crate) fn insert(&mut self, key: &KeyRow, at: Time, ages: Ages) {
        let known = Known { seq: key.seq, fingerprint: key.fingerprint, at, from_client: key.from_client };
        self.known.insert(key.scope, known);
        self.by_age.push_back((at, key.scope));
        while let Some((age, scope)) = self.by_age.front().copied() {
            if !ages.older(age, self.keep_millis) && self.by_age.len() <= self.max {
                break;
            }
            self.by_age.pop_front();
            // A scope that was used again since has a younger place in the line.
            if self.known.get(&scope).is_some_and(|known| known.at == age) {
                self.known.remove(&scope);
            }
        }
    }
}

/// A key of the client's names one content; a natural key *is* the content, whatever its bytes are.
pub(crate) fn compare(key: &KeyRow, fingerprint: u64, seq: u64) -> Seen {
    if key.from_client && fingerprint != key.fingerprint {
        Seen::OtherContent
    } else {
        Seen::Before(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: u128, fingerprint: u64, from_client: bool) -> KeyRow {
        KeyRow { scope: Scope(scope), fingerprint, seq: scope as u64, from_client }
    }

    fn keys(max: usize) -> Keys {
        Keys::new(max, Duration::from_millis(100), Duration::from_millis(10))
    }

    #[test]
    fn a_key_is_recognized_until_it_is_too_old() {
        let mut keys = keys(10);
        keys.insert(&key(1, 7, true), Time(0), Ages::at(Time(0)));
        assert_eq!(keys.look(&key(1, 7, true), Ages::at(Time(100))), Seen::Before(1));
        assert_eq!(keys.look(&key(1, 8, true), Ages::at(Time(100))), Seen::OtherContent);
        assert_eq!(keys.look(&key(1, 7, true), Ages::at(Time(101))), Seen::Never);
        assert_eq!(keys.look(&key(2, 7, true), Ages::at(Time(0))), Seen::Never);
    }

    #[test]
    fn a_natural_key_counts_for_its_window_whatever_the_bytes_are() {
        let mut keys = keys(10);
        keys.insert(&key(1, 7, false), Time(0), Ages::at(Time(0)));
        assert_eq!(keys.look(&key(1, 8, false), Ages::at(Time(10))), Seen::Before(1));
        assert_eq!(keys.look(&key(1, 7, false), Ages::at(Time(11))), Seen::Never);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut keys = keys(2);
        for scope in 1..=3 {
            keys.insert(&key(scope, 0, true), Time(scope as i64), Ages::at(Time(scope as i64)));
        }
        assert_eq!(keys.look(&key(1, 0, true), Ages::at(Time(3))), Seen::Never);
        assert_eq!(keys.look(&key(2, 0, true), Ages::at(Time(3))), Seen::Before(2));
        assert_eq!((keys.known.len(), keys.by_age.len()), (2, 2));
    }

    #[test]
    fn packing_is_reversible_and_refuses_the_rest() {
        let rows = [key(1, 2, true), key(u128::MAX, u64::MAX, false)];
        let packed = pack(&rows);
        assert_eq!(unpack(&packed).as_deref(), Some(&rows[..]));
        assert_eq!(unpack(&packed[1..]), None);
    }
}
