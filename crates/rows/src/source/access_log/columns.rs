//! The columns of a contract that an access log fills, while they are being filled.

use tarn_contract::{ACCESS_LOG, Column, Encoding};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, ErrorKind, Result};

use super::bots::Bots;
use super::row::Row;
use crate::column::{ColumnData, Plain, TextColumn};

/// A text column and the value that stands for none.
struct TextSlot {
    column: TextColumn,
    default: Option<Vec<u8>>,
}

impl TextSlot {
    /// Appends row `row`; one without a value is made up for by the next that has one.
    #[inline]
    fn push(&mut self, value: Option<&[u8]>, row: usize) {
        if let Some(value) = value.or(self.default.as_deref()) {
            self.column.pad(row);
            self.column.push(value);
        }
    }
}

/// A column of numbers or booleans and the value that stands for none.
struct PlainSlot<T> {
    column: Plain<T>,
    default: Option<T>,
}

impl<T: Copy + Default> PlainSlot<T> {
    /// Appends row `row`; one without a value is made up for by the next that has one.
    #[inline]
    fn push(&mut self, value: Option<T>, row: usize) {
        if let Some(value) = value.or(self.default) {
            self.column.pad(row);
            self.column.push(value);
        }
    }

    /// The column of this many rows.
    fn finish(mut self, rows: usize) -> Plain<T> {
        self.column.pad(rows);
        self.column
    }
}

/// One slot per field of a line, for the fields that the contract has.
#[derive(Default)]
pub(super) struct Columns {
    event_time: Option<PlainSlot<i64>>,
    utc_offset_minutes: Option<PlainSlot<i32>>,
    client_ip: Option<TextSlot>,
    vhost: Option<TextSlot>,
    server_port: Option<PlainSlot<i32>>,
    ident: Option<TextSlot>,
    remote_user: Option<TextSlot>,
    method: Option<TextSlot>,
    path: Option<TextSlot>,
    query: Option<TextSlot>,
    protocol: Option<TextSlot>,
    raw_request: Option<TextSlot>,
    status: Option<PlainSlot<i32>>,
    bytes: Option<PlainSlot<i64>>,
    referer: Option<TextSlot>,
    user_agent: Option<TextSlot>,
    is_bot: Option<PlainSlot<bool>>,
    forwarded_for: Option<TextSlot>,
    bytes_received: Option<PlainSlot<i64>>,
    bytes_sent: Option<PlainSlot<i64>>,
    request_time: Option<PlainSlot<f64>>,
    /// The agents as they were received, where the contract asks for `is_bot`, and `user_agent` is
    /// not among its columns or has a default.
    agents: Option<TextColumn>,
    rows: usize,
}

/// The name of the field that a column is filled from.
pub(crate) fn field_of(column: &Column) -> &str {
    &column.source_name
}

/// Checks that every column can be filled from an access log.
///
/// # Errors
/// `BadContract` for a column that an access log does not have, has with another type or in another
/// encoding, or is asked for twice, and for a default that is not a value of its column.
pub(super) fn check(columns: &[Column]) -> Result<()> {
    for (index, column) in columns.iter().enumerate() {
        let name = field_of(column);
        let Some(natural) = ACCESS_LOG.iter().find(|natural| natural.name == name) else {
            let known: Vec<_> = ACCESS_LOG.iter().map(|natural| natural.name).collect();
            return Err(bad(
                column,
                &format!(
                    "an access log has no field `{name}`; it has {}",
                    known.join(", ")
                ),
            ));
        };
        if natural.ty != column.ty {
            return Err(bad(
                column,
                &format!("its type must be {}, not {}", natural.ty, column.ty),
            ));
        }
        if column.encoding != Encoding::Natural {
            return Err(bad(
                column,
                "a field of an access log has no other encoding than its natural one",
            ));
        }
        if columns[..index].iter().any(|other| field_of(other) == name) {
            return Err(bad(
                column,
                &format!("another column is filled from the field `{name}` too"),
            ));
        }
        if let Some(default) = &column.default {
            let is_value = match column.ty {
                ColumnType::String => true,
                ColumnType::Int => default.parse::<i32>().is_ok(),
                ColumnType::Long => default.parse::<i64>().is_ok(),
                ColumnType::Boolean => default.parse::<bool>().is_ok(),
                ColumnType::Double => default.parse::<f64>().is_ok_and(f64::is_finite),
                // The time: a row without one is rejected.
                _ => false,
            };
            if !is_value {
                return Err(bad(
                    column,
                    &format!("`{default}` cannot be the default of a {}", column.ty),
                ));
            }
        }
    }
    Ok(())
}

fn bad(column: &Column, what: &str) -> Error {
    Error::new(
        ErrorKind::BadContract,
        format!("column `{}`: {what}", column.name),
    )
}

fn text(columns: &[Column], rows: usize, name: &str) -> Option<TextSlot> {
    let column = columns.iter().find(|column| field_of(column) == name)?;
    let mut texts = TextColumn::new(true);
    texts.reserve(rows);
    let default = column
        .default
        .as_ref()
        .map(|default| default.as_bytes().to_vec());
    Some(TextSlot {
        column: texts,
        default,
    })
}

fn plain<T>(columns: &[Column], rows: usize, name: &str) -> Option<PlainSlot<T>>
where
    T: Copy + Default + std::str::FromStr,
{
    let column = columns.iter().find(|column| field_of(column) == name)?;
    let mut values = Plain::new();
    values.values.reserve(rows);
    let default = column
        .default
        .as_ref()
        .and_then(|default| default.parse().ok());
    Some(PlainSlot {
        column: values,
        default,
    })
}

impl Columns {
    /// Empty columns with room for `rows`, for columns that [`check`] accepted.
    pub(super) fn new(columns: &[Column], rows: usize) -> Self {
        let mut new = Columns {
            event_time: plain(columns, rows, "event_time"),
            utc_offset_minutes: plain(columns, rows, "utc_offset_minutes"),
            client_ip: text(columns, rows, "client_ip"),
            vhost: text(columns, rows, "vhost"),
            server_port: plain(columns, rows, "server_port"),
            ident: text(columns, rows, "ident"),
            remote_user: text(columns, rows, "remote_user"),
            method: text(columns, rows, "method"),
            path: text(columns, rows, "path"),
            query: text(columns, rows, "query"),
            protocol: text(columns, rows, "protocol"),
            raw_request: text(columns, rows, "raw_request"),
            status: plain(columns, rows, "status"),
            bytes: plain(columns, rows, "bytes"),
            referer: text(columns, rows, "referer"),
            user_agent: text(columns, rows, "user_agent"),
            is_bot: plain(columns, rows, "is_bot"),
            forwarded_for: text(columns, rows, "forwarded_for"),
            bytes_received: plain(columns, rows, "bytes_received"),
            bytes_sent: plain(columns, rows, "bytes_sent"),
            request_time: plain(columns, rows, "request_time"),
            agents: None,
            rows: 0,
        };
        let agents_are_kept = new
            .user_agent
            .as_ref()
            .is_some_and(|slot| slot.default.is_none());
        new.agents = (new.is_bot.is_some() && !agents_are_kept).then(|| TextColumn::new(true));
        new
    }

    /// Appends a row.
    #[inline]
    pub(super) fn push(&mut self, row: &Row<'_>) {
        macro_rules! push {
            ($($slot:ident: $value:expr),* $(,)?) => {
                $(if let Some(slot) = &mut self.$slot {
                    slot.push($value, self.rows);
                })*
            };
        }
        push! {
            event_time: Some(row.event_time),
            utc_offset_minutes: row.utc_offset_minutes,
            client_ip: row.client_ip,
            vhost: row.vhost,
            server_port: row.server_port,
            ident: row.ident,
            remote_user: row.remote_user,
            method: row.method,
            path: row.path,
            query: row.query,
            protocol: row.protocol,
            raw_request: row.raw_request,
            status: row.status,
            bytes: row.bytes,
            referer: row.referer,
            user_agent: row.user_agent,
            forwarded_for: row.trailing.forwarded_for,
            bytes_received: row.trailing.bytes_received,
            bytes_sent: row.trailing.bytes_sent,
            request_time: row.trailing.request_time,
        }
        if let Some(agents) = &mut self.agents {
            match row.user_agent {
                Some(agent) => agents.push(agent),
                None => agents.push_null(),
            }
        }
        self.rows += 1;
    }

    /// The filled columns in the order of `columns`, for which these were made.
    pub(super) fn finish(mut self, columns: &[Column], bots: Option<&mut Bots>) -> Vec<ColumnData> {
        if let Some(agents) = &mut self.user_agent {
            agents.column.pad(self.rows);
        }
        if let (Some(slot), Some(bots)) = (&mut self.is_bot, bots) {
            let agents = self
                .agents
                .as_ref()
                .or(self.user_agent.as_ref().map(|slot| &slot.column));
            if let Some(agents) = agents {
                let mut row = 0;
                bots.of_column(agents, |answer| {
                    slot.push(answer, row);
                    row += 1;
                });
            }
        }
        columns
            .iter()
            .filter_map(|column| self.take(field_of(column)))
            .collect()
    }

    fn take(&mut self, field: &str) -> Option<ColumnData> {
        let rows = self.rows;
        let texts = |slot: &mut Option<TextSlot>| {
            let mut column = slot.take()?.column;
            column.pad(rows);
            Some(ColumnData::Text(column))
        };
        let ints = |slot: &mut Option<PlainSlot<i32>>| {
            let column = slot.take()?.finish(rows);
            Some(ColumnData::Int(column))
        };
        let longs = |slot: &mut Option<PlainSlot<i64>>| {
            let column = slot.take()?.finish(rows);
            Some(ColumnData::Long(column))
        };
        match field {
            "event_time" => longs(&mut self.event_time),
            "utc_offset_minutes" => ints(&mut self.utc_offset_minutes),
            "client_ip" => texts(&mut self.client_ip),
            "vhost" => texts(&mut self.vhost),
            "server_port" => ints(&mut self.server_port),
            "ident" => texts(&mut self.ident),
            "remote_user" => texts(&mut self.remote_user),
            "method" => texts(&mut self.method),
            "path" => texts(&mut self.path),
            "query" => texts(&mut self.query),
            "protocol" => texts(&mut self.protocol),
            "raw_request" => texts(&mut self.raw_request),
            "status" => ints(&mut self.status),
            "bytes" => longs(&mut self.bytes),
            "referer" => texts(&mut self.referer),
            "user_agent" => texts(&mut self.user_agent),
            "is_bot" => self
                .is_bot
                .take()
                .map(|slot| ColumnData::Boolean(slot.finish(rows))),
            "forwarded_for" => texts(&mut self.forwarded_for),
            "bytes_received" => longs(&mut self.bytes_received),
            "bytes_sent" => longs(&mut self.bytes_sent),
            "request_time" => self
                .request_time
                .take()
                .map(|slot| ColumnData::Double(slot.finish(rows))),
            _ => None,
        }
    }
}
