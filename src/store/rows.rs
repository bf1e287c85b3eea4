//! Many rows as the parameters of one statement: a column each for PostgreSQL's `unnest`, one JSON text for SQLite's `json_each`.
//!
//! sqlx runs SQLite on a thread of its own, and each statement is a message there and one back: it is their number that counts, not
//! what they say. So SQLite too is asked once for all of a batch, with all the statements that it takes in one text.

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::{Error, Result};
use crate::domain::time::Timestamp;

/// Binds fields of rows to a query, a column each: `columns!(query, rows, row => row.id, …)`.
macro_rules! unnested {
    ($query:expr, $rows:expr, $row:ident => $($value:expr),+ $(,)?) => {
        $query$(.bind($rows.iter().map(|$row| $value).collect::<Vec<_>>()))+
    };
}

/// Fields of rows as JSON, in the order of their columns: `packed!(rows, row => row.id, …)`. Ids and bytes are in hexadecimal.
macro_rules! packed {
    ($rows:expr, $row:ident => $($value:expr),+ $(,)?) => {
        $crate::store::rows::pack($rows.iter().map(|$row| [$($crate::store::rows::Cell::from($value)),+]))
    };
}
pub(super) use {packed, unnested};

/// A value of one row.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Cell<'a> {
    Null,
    Flag(bool),
    Number(i64),
    Text(&'a str),
    Id(#[serde(serialize_with = "id")] Uuid),
    Bytes(#[serde(serialize_with = "hexadecimal")] &'a [u8]),
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<Timestamp> for Cell<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Number(value.0)
    }
}

impl From<Uuid> for Cell<'_> {
    fn from(value: Uuid) -> Self {
        Self::Id(value)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, T::into)
    }
}

pub(super) fn pack<'a, const N: usize>(rows: impl Iterator<Item = [Cell<'a>; N]>) -> Result<String>
where
    [Cell<'a>; N]: Serialize,
{
    let rows: Vec<_> = rows.collect();
    serde_json::to_string(&rows).map_err(|error| Error::Encode(error.into()))
}

fn id<S: Serializer>(id: &Uuid, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(id.simple().encode_lower(&mut Uuid::encode_buffer()))
}

fn hexadecimal<S: Serializer>(bytes: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    serializer.serialize_str(&digits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_packed_as_sqlite_reads_them() {
        let rows = [(Uuid::from_u128(0xab), Some("a \"quoted\"\n\0 name"), true), (Uuid::max(), None, false)];
        let text = packed!(rows, r => r.0, r.1, [0_u8, 255].as_slice(), r.2, Timestamp(-7)).unwrap();
        assert_eq!(
            text,
            r#"[["000000000000000000000000000000ab","a \"quoted\"\n\u0000 name","00ff",true,-7],"#.to_owned()
                + r#"["ffffffffffffffffffffffffffffffff",null,"00ff",false,-7]]"#
        );
    }
}
