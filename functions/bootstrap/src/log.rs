//! The log of a function: one JSON object per line on standard output.
//!
//! `timestamp`, `level`, `message` and `requestId` are named as Lambda's own log lines name them, so
//! that its level filter and a query over both work. Fields of an event and of the spans around it
//! (`runId` of a run) stand beside them.

use std::fmt;
use std::io::Write;
use std::panic::PanicHookInfo;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};

/// Sets the log up; a panic becomes a line of it. Said once, at start.
pub fn init() {
    let filter = EnvFilter::try_from_env("TARN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    registry().with(filter).with(JsonLines(write_line)).init();
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let text = panic
        .payload_as_str()
        .unwrap_or("a panic without a message");
    tracing::error!(place, "a fault in Tarn: {text}");
}

/// Writes a whole line at once, so that lines of several threads do not mix.
pub fn write_line(line: &Map<String, Value>) {
    let mut text = Value::Object(line.clone()).to_string();
    text.push('\n');
    // If the log cannot be written, there is no place to report that.
    if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
        eprint!("{text}");
    }
}

struct JsonLines<W>(W);

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn(&Map<String, Value>) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut own = Fields::default();
        event.record(&mut own);
        let mut line = Map::new();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        line.insert("timestamp".to_owned(), now.into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        let message = own.0.remove("message").unwrap_or_else(|| "".into());
        line.insert("message".to_owned(), message);
        line.insert("target".to_owned(), metadata.target().into());
        // From the outermost span inwards: what is nearer wins.
        let scope = context.event_scope(event);
        for span in scope.into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.extend(fields.0.clone());
            }
        }
        line.extend(own.0);
        self.0(&line);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_line_carries_the_request_and_the_run_that_it_belongs_to() {
        let lines: Arc<Mutex<Vec<Map<String, Value>>>> = Arc::default();
        let seen = lines.clone();
        let layer = JsonLines(move |line: &Map<String, Value>| {
            if let Ok(mut lines) = seen.lock() {
                lines.push(line.clone());
            }
        });
        let subscriber = registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("Lambda runtime invoke", requestId = "8476a536");
            let _request = request.enter();
            let run = tracing::info_span!("run", runId = "0197", key = "raw/a \"b\"");
            let _run = run.enter();
            tracing::error!(rows = 7_u64, ok = false, error = %"no such file", "it failed");
        });
        let lines = lines.lock().map(|lines| lines.clone()).unwrap_or_default();
        assert_eq!(lines.len(), 1);
        let mut line = lines[0].clone();
        let time = line.remove("timestamp").unwrap_or_default();
        assert!(time.as_str().is_some_and(|time| time.ends_with('Z')));
        assert_eq!(
            Value::Object(line),
            serde_json::json!({
                "level": "ERROR", "message": "it failed", "target": module_path!(),
                "requestId": "8476a536", "runId": "0197", "key": "raw/a \"b\"",
                "rows": 7, "ok": false, "error": "no such file",
            })
        );
    }
}
