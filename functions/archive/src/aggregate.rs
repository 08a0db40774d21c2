//! Splits records that the Kinesis Producer Library (KPL) has packed into one.
//!
//! An aggregated record is `F3 89 9A C2`, a Protocol Buffers message, and the MD5 digest of that
//! message: <https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>.

use md5::{Digest, Md5};
use prost::Message;

use crate::StreamRecord;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

const DIGEST_BYTES: usize = 16;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    pub partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub records: Vec<Packed>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Packed {
    #[prost(uint64, required, tag = "1")]
    pub partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    pub explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    pub data: Vec<u8>,
}

/// The records that are packed into one, numbered `<sequence number>.<place>` from 0; the record
/// itself where it is not aggregated. One that looks aggregated but is broken is kept as it is.
pub fn split(record: StreamRecord) -> Vec<StreamRecord> {
    let Some(aggregated) = unpack(&record.data) else {
        return vec![record];
    };
    aggregated
        .records
        .into_iter()
        .enumerate()
        .map(|(place, packed)| StreamRecord {
            sequence_number: format!("{}.{place}", record.sequence_number),
            arrived_at: record.arrived_at,
            partition_key: usize::try_from(packed.partition_key_index)
                .ok()
                .and_then(|index| aggregated.partition_key_table.get(index))
                .unwrap_or(&record.partition_key)
                .clone(),
            data: packed.data,
        })
        .collect()
}

fn unpack(data: &[u8]) -> Option<AggregatedRecord> {
    let rest = data.strip_prefix(&MAGIC)?;
    let (message, digest) = rest.split_at_checked(rest.len().checked_sub(DIGEST_BYTES)?)?;
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    let aggregated = AggregatedRecord::decode(message).ok()?;
    // One without records would make its record vanish.
    (!aggregated.records.is_empty()).then_some(aggregated)
}

/// Packs payloads as the KPL does.
#[cfg(test)]
pub(crate) fn pack(records: &[(&str, &[u8])]) -> Vec<u8> {
    let aggregated = AggregatedRecord {
        partition_key_table: records.iter().map(|(key, _)| (*key).to_owned()).collect(),
        explicit_hash_key_table: Vec::new(),
        records: records
            .iter()
            .enumerate()
            .map(|(index, (_, data))| Packed {
                partition_key_index: index as u64,
                explicit_hash_key_index: None,
                data: data.to_vec(),
            })
            .collect(),
    };
    let message = aggregated.encode_to_vec();
    let digest = Md5::digest(&message);
    [&MAGIC, message.as_slice(), digest.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: Vec<u8>) -> StreamRecord {
        StreamRecord {
            sequence_number: "49590338271490256608559692538361571095921575989136588898".to_owned(),
            arrived_at: chrono::DateTime::UNIX_EPOCH,
            partition_key: "outer".to_owned(),
            data,
        }
    }

    #[test]
    fn packed_records_come_out_one_by_one_under_their_own_keys() {
        let found = split(record(pack(&[
            ("a", b"{\"n\":1}"),
            ("b", b""),
            ("c", b"\xFF"),
        ])));
        let seen: Vec<_> = found
            .iter()
            .map(|record| {
                let number = record
                    .sequence_number
                    .rsplit('.')
                    .next()
                    .unwrap_or_default();
                (
                    number,
                    record.partition_key.as_str(),
                    record.data.as_slice(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("0", "a", b"{\"n\":1}".as_slice()),
                ("1", "b", b""),
                ("2", "c", b"\xFF")
            ]
        );
    }

    #[test]
    fn a_record_that_is_not_packed_or_is_broken_is_kept_as_it_is() {
        let whole = pack(&[("a", b"{\"n\":1}")]);
        let mut flipped = whole.clone();
        flipped[6] ^= 1;
        // The digest fits, the message does not.
        let nonsense = [&MAGIC[..], b"nonsense", Md5::digest(b"nonsense").as_slice()].concat();
        let empty = pack(&[]);
        for data in [
            b"{\"n\":1}".to_vec(),
            Vec::new(),
            MAGIC.to_vec(),
            whole[..whole.len() - 1].to_vec(),
            flipped,
            nonsense,
            empty,
        ] {
            let given = record(data);
            assert_eq!(split(given.clone()), [given]);
        }
    }

    #[test]
    fn a_key_index_that_names_no_key_falls_back_to_the_records_own() {
        let aggregated = AggregatedRecord {
            partition_key_table: Vec::new(),
            explicit_hash_key_table: Vec::new(),
            records: vec![Packed {
                partition_key_index: 7,
                explicit_hash_key_index: None,
                data: b"x".to_vec(),
            }],
        };
        let message = aggregated.encode_to_vec();
        let data = [&MAGIC[..], &message, Md5::digest(&message).as_slice()].concat();
        let found = split(record(data));
        assert_eq!(found[0].partition_key, "outer");
    }
}
