//! Converts the events that Lambda delivers into what the functions take, and failed messages into the
//! answer that Lambda expects.

use std::collections::HashMap;

use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tarn_archive::StreamRecord;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Message;

/// The attribute in which SQS says how often it delivered a message, this time included.
const RECEIVES: &str = "ApproximateReceiveCount";

/// What the marts function has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Marts {
    /// All marts, on the schedule.
    All,
    /// The marts that read the tables in these messages.
    Changed(Vec<Message>),
}

/// The messages of a batch of SQS.
///
/// # Errors
/// `BadRequest` for another event, and for a message without an identifier, whose failure could not be
/// reported.
pub fn messages(event: Value) -> Result<Vec<Message>> {
    let event: SqsEvent = parsed(event)?;
    event
        .records
        .into_iter()
        .map(|message| {
            let id = message
                .message_id
                .ok_or_else(|| bad("a message of the batch has no messageId"))?;
            Ok(Message {
                id,
                receipt: message.receipt_handle.unwrap_or_default(),
                receives: receives(&message.attributes),
                body: message.body.unwrap_or_default(),
            })
        })
        .collect()
}

fn receives(attributes: &HashMap<String, String>) -> u32 {
    let receives = attributes.get(RECEIVES).and_then(|text| text.parse().ok());
    receives.unwrap_or(1)
}

/// Reads an event of the queue, or of the schedule: `{"task": "marts"}`.
///
/// # Errors
/// `BadRequest` for another event.
pub fn marts(event: Value) -> Result<Marts> {
    if event.get("Records").is_some() {
        return messages(event).map(Marts::Changed);
    }
    if event.get("task").and_then(Value::as_str) == Some("marts") {
        return Ok(Marts::All);
    }
    Err(bad(
        "the event is neither a batch of messages nor {\"task\": \"marts\"}",
    ))
}

/// The records of a batch of Kinesis, each with its shard.
///
/// # Errors
/// `BadRequest` for another event.
pub fn records(event: Value) -> Result<Vec<(String, StreamRecord)>> {
    let event: KinesisEvent = parsed(event)?;
    Ok(event.records.into_iter().map(record).collect())
}

fn record(record: KinesisEventRecord) -> (String, StreamRecord) {
    // `shardId-000000000000:<sequence number>`
    let shard = record
        .event_id
        .as_deref()
        .and_then(|id| id.split(':').next())
        .filter(|shard| !shard.is_empty())
        .unwrap_or("shard")
        .to_owned();
    let kinesis = record.kinesis;
    let record = StreamRecord {
        sequence_number: kinesis.sequence_number,
        arrived_at: kinesis.approximate_arrival_timestamp.0,
        partition_key: kinesis.partition_key,
        data: kinesis.data.0,
    };
    (shard, record)
}

/// Lists the messages that the queue has to deliver again.
pub fn failures(failed: &[String]) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed.iter().cloned());
    response
}

fn parsed<T: DeserializeOwned>(event: Value) -> Result<T> {
    serde_json::from_value(event)
        .map_err(|error| bad("the event cannot be read").with_source(error))
}

fn bad(text: &str) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn sample(name: &str) -> Value {
        let text = std::fs::read_to_string(format!("../../events/{name}")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_message_says_how_often_it_was_delivered() {
        let told = |attributes: Value| {
            let event = json!({ "Records": [
                { "messageId": "0", "receiptHandle": "r", "attributes": attributes, "body": "{}" },
            ] });
            messages(event).unwrap().remove(0).receives
        };
        assert_eq!(told(json!({ RECEIVES: "3" })), 3);
        assert_eq!(told(json!({ RECEIVES: "many" })), 1);
        assert_eq!(told(json!({})), 1);
    }

    #[test]
    fn every_message_of_the_sample_is_handed_over() {
        let event = sample("s3/sqs_batch.json");
        let found = messages(event.clone()).unwrap();
        assert!(found.len() > 1);
        for (message, record) in found.iter().zip(event["Records"].as_array().unwrap()) {
            assert_eq!(message.id, record["messageId"].as_str().unwrap());
            assert_eq!(message.receipt, record["receiptHandle"].as_str().unwrap());
            assert_eq!(message.body, record["body"].as_str().unwrap());
        }
    }

    #[test]
    fn a_message_without_identifier_is_refused_with_the_batch() {
        let event = json!({ "Records": [{ "body": "{}", "attributes": {} }] });
        assert_eq!(messages(event).unwrap_err().kind(), ErrorKind::BadRequest);
    }

    #[test]
    fn the_marts_are_asked_for_by_the_schedule_and_by_the_queue() {
        assert_eq!(marts(sample("scheduler/marts.json")).unwrap(), Marts::All);
        let Marts::Changed(messages) = marts(sample("scheduler/marts_tables.json")).unwrap() else {
            panic!("a batch of messages");
        };
        assert!(messages[0].body.contains("curated."), "{messages:?}");
        for event in [json!({}), json!({"task": "quality"}), json!({"Records": 1})] {
            assert_eq!(marts(event).unwrap_err().kind(), ErrorKind::BadRequest);
        }
    }

    #[test]
    fn records_of_the_stream_keep_their_shard_their_time_and_all_their_bytes() {
        let found = records(sample("kinesis/batch.json")).unwrap();
        let (shard, first) = &found[0];
        assert_eq!(shard, "shardId-000000000006");
        assert_eq!(
            first.sequence_number,
            "49590338271490256608559692538361571095921575989136588898"
        );
        assert_eq!(
            first.arrived_at.to_rfc3339(),
            "2026-01-31T10:00:00.987+00:00"
        );
        assert_eq!(found[1].1.data, b"\xff\xfe not text");
    }

    #[test]
    fn lambda_is_told_of_failed_messages_by_their_identifiers() {
        let response = serde_json::to_value(failures(&["7".to_owned()])).unwrap();
        assert_eq!(
            response,
            json!({ "batchItemFailures": [{ "itemIdentifier": "7" }] })
        );
    }
}
