//! Queues on SQS.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, QueueAttributeName};
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::failed;

/// Messages of one receive; SQS gives no more.
const RECEIVE: usize = 10;

/// How long a receive waits for messages (seconds): long enough that SQS asks all its servers.
const WAIT_SECONDS: i32 = 2;

/// How long a received message is hidden from others (seconds) while it is sent on.
const HIDDEN_SECONDS: i32 = 60;

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message that was taken from a queue.
#[derive(Debug, Clone)]
pub struct Received {
    /// What it says.
    pub body: String,
    receipt: String,
}

impl Queue {
    pub(crate) fn new(client: Client, url: &str) -> Self {
        Queue {
            client,
            url: url.to_owned(),
        }
    }

    /// The queue's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn resource(&self) -> String {
        format!("the queue {}", self.url)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `Storage`; a retryable one may have sent it.
    pub async fn send(&self, body: &str) -> Result<()> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .map_err(|error| failed("sqs:SendMessage", &self.resource(), error))?;
        Ok(())
    }

    /// About how many messages wait to be received.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn depth(&self) -> Result<u64> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(name.clone())
            .send()
            .await
            .map_err(|error| failed("sqs:GetQueueAttributes", &self.resource(), error))?;
        let text = answer.attributes().and_then(|known| known.get(&name));
        text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            Error::new(
                ErrorKind::Storage,
                format!("SQS does not say how long {} is", self.resource()),
            )
        })
    }

    /// Moves at most `limit` messages to another queue: each is received, sent, and then deleted, so
    /// that one may be there twice after a failure, and none is lost. Returns how many were moved.
    ///
    /// # Errors
    /// `Storage`, with how many were moved before.
    pub async fn redrive_to(&self, target: &Queue, limit: usize) -> Result<usize> {
        let mut moved = 0;
        while moved < limit {
            let wanted = RECEIVE.min(limit - moved);
            let messages = self
                .receive(wanted)
                .await
                .map_err(|error| error.context(format!("{moved} messages were moved")))?;
            if messages.is_empty() {
                break;
            }
            for (index, message) in messages.iter().enumerate() {
                if let Err(error) = self.forward(message, target).await {
                    self.release(messages.get(index..).unwrap_or_default())
                        .await;
                    return Err(error.context(format!("{moved} messages were moved")));
                }
                moved += 1;
            }
        }
        Ok(moved)
    }

    /// Takes up to `most` messages (10 at once), which are hidden from others for a minute. Each is
    /// there again after that unless it is [deleted](Queue::delete).
    ///
    /// # Errors
    /// `Storage`.
    pub async fn take(&self, most: usize) -> Result<Vec<Received>> {
        let messages = self.receive(RECEIVE.min(most)).await?;
        Ok(messages
            .into_iter()
            .map(|message| Received {
                body: message.body.unwrap_or_default(),
                receipt: message.receipt_handle.unwrap_or_default(),
            })
            .collect())
    }

    /// Deletes a message that was taken.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn delete(&self, message: &Received) -> Result<()> {
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&message.receipt)
            .send()
            .await
            .map_err(|error| failed("sqs:DeleteMessage", &self.resource(), error))?;
        Ok(())
    }

    /// Has a failed message of a function delivered again after this many seconds (0 to 43,200) instead of
    /// after the queue's visibility timeout. `receipt` is the receipt
    /// handle of that delivery.
    ///
    /// # Errors
    /// `Storage`; the message is then delivered again after the visibility timeout.
    pub async fn deliver_in(&self, receipt: &str, seconds: u32) -> Result<()> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| failed("sqs:ChangeMessageVisibility", &self.resource(), error))?;
        Ok(())
    }

    async fn receive(&self, most: usize) -> Result<Vec<Message>> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .wait_time_seconds(WAIT_SECONDS)
            .visibility_timeout(HIDDEN_SECONDS)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| failed("sqs:ReceiveMessage", &self.resource(), error))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Lets others receive messages at once that were not moved; without it they would wait.
    async fn release(&self, messages: &[Message]) {
        for message in messages {
            let released = self
                .client
                .change_message_visibility()
                .queue_url(&self.url)
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .visibility_timeout(0)
                .send()
                .await;
            if let Err(error) = released {
                let error = failed("sqs:ChangeMessageVisibility", &self.resource(), error);
                tracing::warn!(%error, "a message stays hidden for {HIDDEN_SECONDS} seconds");
            }
        }
    }

    async fn forward(&self, message: &Message, target: &Queue) -> Result<()> {
        let attributes: Option<HashMap<String, MessageAttributeValue>> =
            message.message_attributes().cloned();
        target
            .client
            .send_message()
            .queue_url(&target.url)
            .message_body(message.body().unwrap_or_default())
            .set_message_attributes(attributes)
            .send()
            .await
            .map_err(|error| failed("sqs:SendMessage", &target.resource(), error))?;
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(message.receipt_handle().unwrap_or_default())
            .send()
            .await
            .map_err(|error| failed("sqs:DeleteMessage", &self.resource(), error))?;
        Ok(())
    }
}
