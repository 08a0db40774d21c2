//! Named values of the ledger that are JSON: read, and changed by compare-and-swap.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;

use crate::{ATTEMPTS, back_off};

/// A value of the ledger, as it was read.
pub(crate) struct Value<T> {
    pub name: String,
    /// None where there is none.
    pub text: Option<String>,
    pub value: T,
}

impl<T: Default + Serialize + DeserializeOwned> Value<T> {
    pub async fn read(lake: &Lake, name: String) -> Result<Self> {
        let text = lake.ledger.state(&name).await?;
        let value = match &text {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                let message = format!("the ledger's value {name} is damaged");
                Error::new(ErrorKind::Storage, message).with_source(error)
            })?,
            None => T::default(),
        };
        Ok(Value { name, text, value })
    }

    /// Replaces the value that was read.
    pub async fn write(&mut self, lake: &Lake, value: T) -> Result<()> {
        let text = text_of(&value)?;
        if self.text.as_deref() != Some(&text) {
            let before = self.text.as_deref();
            lake.ledger.swap_state(&self.name, before, &text).await?;
        }
        (self.text, self.value) = (Some(text), value);
        Ok(())
    }
}

fn text_of<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::internal("a value of the ledger cannot be written as JSON").with_source(error)
    })
}

/// Writes a value, whatever is there.
pub(crate) async fn put<T: Serialize>(lake: &Lake, name: &str, value: &T) -> Result<()> {
    lake.ledger.put_state(name, &text_of(value)?).await
}

/// Changes a value, even if others change it meanwhile; None leaves it.
pub(crate) async fn change<T: Default + Serialize + DeserializeOwned>(
    lake: &Lake,
    name: &str,
    work: impl Fn(&T) -> Option<T>,
) -> Result<()> {
    for attempt in 0..ATTEMPTS {
        let mut value = Value::<T>::read(lake, name.to_owned()).await?;
        let Some(next) = work(&value.value) else {
            return Ok(());
        };
        match value.write(lake, next).await {
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            other => return other,
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("other runs write the ledger's value {name} all the time; try again"),
    ))
}
