//! serde for what is written as text, without a copy of the text.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

/// Reads a text and makes a value of it.
pub(crate) fn read<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    make: impl FnOnce(&str) -> Result<T, D::Error>,
) -> Result<T, D::Error> {
    struct Made<T, E, F>(F, PhantomData<(T, E)>);

    impl<T, E: Error, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Made<T, E, F> {
        type Value = Result<T, E>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<V: Error>(self, text: &str) -> Result<Self::Value, V> {
            Ok((self.0)(text))
        }
    }

    deserializer.deserialize_str(Made(make, PhantomData))?
}

/// Reads a value by [`FromStr`].
pub(crate) fn parse<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    read(deserializer, |text| text.parse().map_err(D::Error::custom))
}
