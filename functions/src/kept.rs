//! What a process keeps of what it was told: for so long, and so much of it.

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Values by key, each forgotten after a while, all of them when there are too many.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    life: SignedDuration,
    most: usize,
    known: Mutex<HashMap<K, (Timestamp, V)>>,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    /// Keeps at most `most` values, each for `life`.
    pub(crate) fn new(life: SignedDuration, most: usize) -> Self {
        Self {
            life,
            most,
            known: Mutex::default(),
        }
    }

    pub(crate) fn find(&self, key: &K, now: Timestamp) -> Option<V> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(key)
            .filter(|(since, _)| now.duration_since(*since).abs() < self.life)
            .map(|(_, value)| value.clone())
    }

    pub(crate) fn keep(&self, key: K, value: V, now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(key, (now, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_forgotten_after_its_life_and_never_too_much() {
        let life = SignedDuration::from_mins(1);
        let kept = Kept::new(life, 2);
        let now = Timestamp::from_second(1_000_000).unwrap();
        kept.keep("a", 1, now);
        assert_eq!(
            kept.find(&"a", now + SignedDuration::from_secs(59)),
            Some(1)
        );
        assert_eq!(kept.find(&"a", now + life), None);
        assert_eq!(kept.find(&"b", now), None);
        for (key, value) in [("b", 2), ("c", 3)] {
            kept.keep(key, value, now);
        }
        assert_eq!(
            (kept.find(&"a", now), kept.find(&"c", now)),
            (None, Some(3))
        );
    }
}
