//! The ledger on one DynamoDB table with the text keys `pk` and `sk`.
//!
//! | what | `pk` | `sk` | other attributes |
//! |---|---|---|---|
//! | record of an object | `object#<shard>` | its key | `record`, `revision`, `token` |
//! | record of a run | `run#<run id>` | `run` | `record`, `expires_at` |
//! | a run in order of time | `runs#<YYYY-MM>` | `<begin>#<run id>` | `run_id`, `expires_at` |
//! | a month that has runs | `runs` | `<YYYY-MM>` | `expires_at` |
//! | named value | `state#<name>` | `state` | `value`, `token` where it was swapped |
//! | a judgement of an anomaly | `feedback` | `<time>#<anomaly>` | `record` |
//!
//! DynamoDB serves about 1,000 small writes a second per `pk`. Objects are spread over
//! [`SHARDS`] values by a hash of their key; a list by prefix asks every shard and merges. Runs and
//! named values have a `pk` each. The list of runs by time has one `pk` a month, with items of a few
//! dozen bytes, good for 500 runs begun a second; the records are then read by their own keys.
//! The item of the list is written before the record, so that no record is missing in it.
//!
//! Objects, named values and judgements of anomalies stay. Items of runs have `expires_at`, the table's time to
//! live.
//!
//! Records are JSON. One of more than 128 KiB is kept compressed in `record_zstd`; one that
//! does not fit DynamoDB's 400 KB even so is refused.
//!
//! **Lost replies.** If the reply to a conditional write is lost, the SDK sends it again, and the second attempt
//! fails. Each write has a random `token`: the refusal returns the stored item, and its token shows which
//! write made it.

mod item;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure,
};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use futures::future::try_join_all;
use tarn_core::feedback::Feedback;
use tarn_core::ports::Ledger;
use tarn_core::run::{ObjectRecord, RunRecord};
use tarn_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use self::item::{Item, check_size, number, pack, read_number, read_text, text, unpack};
use crate::failure::failed;
use crate::pause;
use crate::settings::Settings;

/// Over how many values of `pk` the records of objects are spread. Another number would lose them.
const SHARDS: u32 = 16;

/// Records that are read at once; DynamoDB takes no more.
const BATCH: usize = 100;

/// How often a batch asks again for the records that an answer left out.
const BATCH_ATTEMPTS: u32 = 8;

/// The port [`Ledger`] on DynamoDB.
#[derive(Debug)]
pub(crate) struct DynamoLedger {
    client: Client,
    settings: Arc<Settings>,
    /// Months that are known to be in the list of months.
    months: Mutex<BTreeSet<String>>,
}

/// FNV-1a: where a record is must never depend on a library's version.
fn shard(key: &str) -> u32 {
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % SHARDS
}

fn object_pk(shard: u32) -> String {
    format!("object#{shard:02}")
}

fn state_item(name: &str, value: &str) -> Item {
    Item::from([
        ("pk".to_owned(), text(format!("state#{name}"))),
        ("sk".to_owned(), text("state")),
        ("value".to_owned(), text(value)),
    ])
}

fn object_record(item: &Item) -> Result<ObjectRecord> {
    let record: ObjectRecord = unpack(item, "the record of an object")?;
    Ok(ObjectRecord {
        revision: read_number(item, "revision").unwrap_or_default(),
        ..record
    })
}

impl DynamoLedger {
    pub(crate) fn new(client: Client, settings: Arc<Settings>) -> Self {
        DynamoLedger {
            client,
            settings,
            months: Mutex::default(),
        }
    }

    fn resource(&self) -> String {
        let table = self.settings.ledger_table().unwrap_or("of the ledger");
        format!("the DynamoDB table {table}")
    }

    fn unwritten(&self, error: crate::failure::CallError<PutItemError>) -> Error {
        failed("dynamodb:PutItem", &self.resource(), error)
    }

    async fn item(&self, pk: &str, sk: &str) -> Result<Option<Item>> {
        let found = self
            .client
            .get_item()
            .table_name(self.settings.ledger_table()?)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed("dynamodb:GetItem", &self.resource(), error))?;
        Ok(found.item)
    }

    async fn put(&self, item: Item) -> Result<()> {
        self.client
            .put_item()
            .table_name(self.settings.ledger_table()?)
            .set_item(Some(item))
            .send()
            .await
            .map_err(|error| self.unwritten(error))?;
        Ok(())
    }

    /// Items of one `pk` whose `sk` begins with `prefix`, at most `limit`.
    async fn query(
        &self,
        pk: &str,
        prefix: &str,
        forward: bool,
        limit: Option<usize>,
    ) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut next: Option<Item> = None;
        loop {
            let left = limit.map(|limit| limit.saturating_sub(items.len()));
            if left == Some(0) {
                return Ok(items);
            }
            let mut request = self
                .client
                .query()
                .table_name(self.settings.ledger_table()?)
                .expression_attribute_values(":pk", text(pk))
                .consistent_read(true)
                .scan_index_forward(forward)
                .set_limit(left.and_then(|left| i32::try_from(left).ok()))
                .set_exclusive_start_key(next);
            // A condition on an empty text is refused.
            request = if prefix.is_empty() {
                request.key_condition_expression("pk = :pk")
            } else {
                request
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", text(prefix))
            };
            let page = request
                .send()
                .await
                .map_err(|error| failed("dynamodb:Query", &self.resource(), error))?;
            items.extend(page.items.unwrap_or_default());
            next = page.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(items);
            }
        }
    }

    /// The records of these runs, in this order; one that expired is left out.
    async fn run_records(&self, ids: &[String]) -> Result<Vec<RunRecord>> {
        let mut found: HashMap<String, RunRecord> = HashMap::new();
        for ids in ids.chunks(BATCH) {
            let mut keys: Vec<Item> = ids
                .iter()
                .map(|id| {
                    Item::from([
                        ("pk".to_owned(), text(format!("run#{id}"))),
                        ("sk".to_owned(), text("run")),
                    ])
                })
                .collect();
            for attempt in 0..BATCH_ATTEMPTS {
                if attempt > 0 {
                    pause(attempt, Duration::from_millis(50)).await;
                }
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(std::mem::take(&mut keys)))
                    .consistent_read(true)
                    .build()
                    .map_err(|error| {
                        Error::internal("a batch of keys is incomplete").with_source(error)
                    })?;
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(self.settings.ledger_table()?, request)
                    .send()
                    .await
                    .map_err(|error| failed("dynamodb:BatchGetItem", &self.resource(), error))?;
                for item in answer
                    .responses
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, items)| items)
                {
                    let run: RunRecord = unpack(&item, "the record of a run")?;
                    found.insert(run.run_id.clone(), run);
                }
                // The caller must ask again for records that did not fit the answer or were throttled.
                keys = answer
                    .unprocessed_keys
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, left)| left.keys)
                    .collect();
                if keys.is_empty() {
                    break;
                }
            }
            if !keys.is_empty() {
                return Err(Error::new(
                    ErrorKind::Storage,
                    format!(
                        "{} was too busy {BATCH_ATTEMPTS} times to read {} records; try again later",
                        self.resource(),
                        keys.len()
                    ),
                )
                .retryable(true));
            }
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// When the items of a run that began at `begin` expire, in seconds since 1970.
    fn expires_at(&self, begin: DateTime<Utc>) -> AttributeValue {
        number((begin + TimeDelta::days(self.settings.run_days().into())).timestamp())
    }

    /// Makes sure that the month is in the list of months.
    async fn note_month(&self, month: &str, begin: DateTime<Utc>) -> Result<()> {
        let is_known = |months: &BTreeSet<String>| months.contains(month);
        if self.months.lock().is_ok_and(|months| is_known(&months)) {
            return Ok(());
        }
        self.put(Item::from([
            ("pk".to_owned(), text("runs")),
            ("sk".to_owned(), text(month)),
            // Later than any run of the month.
            (
                "expires_at".to_owned(),
                self.expires_at(begin + TimeDelta::days(32)),
            ),
        ]))
        .await?;
        if let Ok(mut months) = self.months.lock() {
            months.insert(month.to_owned());
        }
        Ok(())
    }
}

#[async_trait]
impl Ledger for DynamoLedger {
    async fn object(&self, key: &str) -> Result<Option<ObjectRecord>> {
        let item = self.item(&object_pk(shard(key)), key).await?;
        item.as_ref().map(object_record).transpose()
    }

    async fn put_object(
        &self,
        record: &ObjectRecord,
        expected_revision: Option<u64>,
    ) -> Result<u64> {
        let revision = expected_revision.unwrap_or_default() + 1;
        let token = Uuid::new_v4().simple().to_string();
        let (name, packed) = pack(record, &format!("the record of {:?}", record.key))?;
        let mut request = self
            .client
            .put_item()
            .table_name(self.settings.ledger_table()?)
            .item("pk", text(object_pk(shard(&record.key))))
            .item("sk", text(&record.key))
            .item(name, packed)
            .item("revision", number(revision))
            .item("token", text(&token))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        request = match expected_revision {
            None => request.condition_expression("attribute_not_exists(pk)"),
            Some(expected) => request
                .condition_expression("revision = :expected")
                .expression_attribute_values(":expected", number(expected)),
        };
        let error = match request.send().await {
            Ok(_) => return Ok(revision),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
        else {
            return Err(self.unwritten(error));
        };
        let there = refused.item();
        if there.and_then(|item| read_text(item, "token")) == Some(token.as_str()) {
            return Ok(revision);
        }
        let shown = |revision: Option<u64>| {
            revision.map_or("none".to_owned(), |revision| revision.to_string())
        };
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the record of {:?} was written by another run: expected revision {}, found {}",
                record.key,
                shown(expected_revision),
                shown(there.and_then(|item| read_number(item, "revision")))
            ),
        ))
    }

    async fn objects(&self, prefix: &str) -> Result<Vec<ObjectRecord>> {
        let shards = (0..SHARDS).map(|shard| async move {
            let items = self.query(&object_pk(shard), prefix, true, None).await?;
            items.iter().map(object_record).collect::<Result<Vec<_>>>()
        });
        let mut records: Vec<_> = try_join_all(shards).await?.into_iter().flatten().collect();
        records.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(records)
    }

    async fn put_run(&self, run: &RunRecord) -> Result<()> {
        let (name, packed) = pack(run, &format!("the record of run {}", run.run_id))?;
        let begin = run.started_at;
        let month = format!("{:04}-{:02}", begin.year(), begin.month());
        self.note_month(&month, begin).await?;
        let at = begin.format("%Y-%m-%dT%H:%M:%S%.6f");
        self.put(Item::from([
            ("pk".to_owned(), text(format!("runs#{month}"))),
            ("sk".to_owned(), text(format!("{at}#{}", run.run_id))),
            ("run_id".to_owned(), text(&run.run_id)),
            ("expires_at".to_owned(), self.expires_at(begin)),
        ]))
        .await?;
        self.put(Item::from([
            ("pk".to_owned(), text(format!("run#{}", run.run_id))),
            ("sk".to_owned(), text("run")),
            (name.to_owned(), packed),
            ("expires_at".to_owned(), self.expires_at(begin)),
        ]))
        .await
    }

    async fn run(&self, run_id: &str) -> Result<Option<RunRecord>> {
        let item = self.item(&format!("run#{run_id}"), "run").await?;
        item.as_ref()
            .map(|item| unpack(item, "the record of a run"))
            .transpose()
    }

    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>> {
        let mut runs = Vec::new();
        for month in self.query("runs", "", false, None).await? {
            let left = limit.saturating_sub(runs.len());
            if left == 0 {
                break;
            }
            let Some(month) = read_text(&month, "sk") else {
                continue;
            };
            let listed = self
                .query(&format!("runs#{month}"), "", false, Some(left))
                .await?;
            let ids: Vec<_> = listed
                .iter()
                .filter_map(|item| read_text(item, "run_id").map(str::to_owned))
                .collect();
            runs.extend(self.run_records(&ids).await?);
        }
        Ok(runs)
    }

    async fn state(&self, name: &str) -> Result<Option<String>> {
        let item = self.item(&format!("state#{name}"), "state").await?;
        Ok(item.and_then(|item| read_text(&item, "value").map(str::to_owned)))
    }

    async fn put_state(&self, name: &str, value: &str) -> Result<()> {
        check_size(name, value)?;
        self.put(state_item(name, value)).await
    }

    async fn advance_state(&self, name: &str, value: &str) -> Result<()> {
        let put = self
            .client
            .put_item()
            .table_name(self.settings.ledger_table()?)
            .set_item(Some(state_item(name, value)))
            // `value` is a word of DynamoDB's own.
            .condition_expression("attribute_not_exists(pk) OR #value < :value")
            .expression_attribute_names("#value", "value")
            .expression_attribute_values(":value", text(value))
            .send()
            .await;
        match put {
            Ok(_) => Ok(()),
            // A greater one is there, or this one, whose reply was lost.
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(PutItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(self.unwritten(error)),
        }
    }

    async fn swap_state(&self, name: &str, expected: Option<&str>, value: &str) -> Result<()> {
        check_size(name, value)?;
        let token = Uuid::new_v4().simple().to_string();
        let mut request = self
            .client
            .put_item()
            .table_name(self.settings.ledger_table()?)
            .item("pk", text(format!("state#{name}")))
            .item("sk", text("state"))
            .item("value", text(value))
            .item("token", text(&token))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        request = match expected {
            None => request.condition_expression("attribute_not_exists(pk)"),
            Some(expected) => request
                // `value` is a word of DynamoDB's own.
                .condition_expression("#value = :expected")
                .expression_attribute_names("#value", "value")
                .expression_attribute_values(":expected", text(expected)),
        };
        let error = match request.send().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
        else {
            return Err(self.unwritten(error));
        };
        let there = refused.item().and_then(|item| read_text(item, "token"));
        if there == Some(token.as_str()) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("the value {name} was set by another run"),
        ))
    }

    async fn put_feedback(&self, feedback: &Feedback) -> Result<()> {
        let (name, packed) = pack(feedback, &format!("the judgement of {}", feedback.anomaly))?;
        let at = feedback.at.format("%Y-%m-%dT%H:%M:%S%.6f");
        self.put(Item::from([
            ("pk".to_owned(), text("feedback")),
            ("sk".to_owned(), text(format!("{at}#{}", feedback.anomaly))),
            (name.to_owned(), packed),
        ]))
        .await
    }

    async fn feedback(&self) -> Result<Vec<Feedback>> {
        let items = self.query("feedback", "", true, None).await?;
        items
            .iter()
            .map(|item| unpack(item, "the judgement of an anomaly"))
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_a_key_never_changes_and_keys_are_spread() {
        // Known values of FNV-1a.
        assert_eq!(shard(""), 0x811c_9dc5 % SHARDS);
        assert_eq!(shard("a"), 0xe40c_292c % SHARDS);
        assert_eq!(shard("foobar"), 0xbf9c_f968 % SHARDS);
        let mut counts = [0_u32; SHARDS as usize];
        for n in 0..16_000 {
            let key = format!("raw/web/web_requests/ingest_date=2026-01-31/access-{n}.log");
            counts[shard(&key) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn records_are_kept_plain_then_compressed_then_refused() {
        let round = |value: &String| {
            let (name, packed) = pack(value, "it")?;
            let item = Item::from([(name.to_owned(), packed)]);
            assert_eq!(&unpack::<String>(&item, "it")?, value);
            Ok::<_, Error>(name)
        };
        assert_eq!(round(&"small".to_owned()).unwrap(), "record");
        assert_eq!(round(&"ab".repeat(1 << 20)).unwrap(), "record_zstd");
        let random: String = (0..60_000)
            .map(|_| Uuid::new_v4().simple().to_string())
            .collect();
        let error = round(&random).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("it has"), "{error}");
    }
}
