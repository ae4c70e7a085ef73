//! A bounded map that forgets what was not used lately.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, mem};

/// Two generations: a full young one becomes the old one, and the old one is forgotten. What is read moves to the
/// young one. An LRU in all that matters here, without a linked list.
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Entries in one generation.
    size: usize,
}

impl<K: Eq + Hash, V: Clone> Generations<K, V> {
    pub(crate) fn new(size: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), size: size.max(1) }
    }

    /// The value, which counts as used.
    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    /// The value, which does not count as used.
    pub(crate) fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Adds or replaces a value; true if a generation was forgotten for it.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        let full = self.young.len() >= self.size && !self.young.contains_key(&key);
        if full {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_stays_bounded() {
        let mut map = Generations::new(4);
        for key in 0..100 {
            map.insert(key, key);
            assert_eq!(map.get(&0), Some(0), "used at every step, so kept at {key}");
        }
        assert!(map.young.len() + map.old.len() <= 8);
        assert_eq!(map.get(&50), None);
        assert_eq!(map.get(&99), Some(99));
    }
}
