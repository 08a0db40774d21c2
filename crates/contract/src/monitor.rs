//! What is watched for anomalies.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::detector::{Detector, Direction, LeastWidth, Method, Smoothing};
use crate::metric::Metric;

/// What a monitor has one value for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A UTC day.
    Day,
    /// A run.
    Run,
}

/// A metric that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// The metric.
    pub metric: Metric,
    /// Watch the rows of each value of this column by themselves.
    pub segment_by: Option<String>,
    /// One value per day or per run.
    pub per: Per,
    /// How values are judged.
    pub detector: Detector,
    /// With [`Method::Mad`]: values of the same weekday are expected too, and once the weekday has four
    /// values only it is compared.
    pub by_weekday: bool,
}

/// The default width: see [`Method::Mad`].
const DEVIATIONS: f64 = 3.5;

/// The default width of the methods by standard deviations.
const STANDARD_DEVIATIONS: f64 = 3.0;

impl Monitor {
    fn usual(metric: Metric, direction: Direction, least_width: LeastWidth) -> Self {
        let method = Method::Mad {
            deviations: DEVIATIONS,
        };
        Monitor {
            metric,
            segment_by: None,
            per: Per::Day,
            detector: Detector {
                method,
                direction,
                minimum_history: method.usual_history(),
                least_width,
                weekday_too: false,
            },
            by_weekday: false,
        }
    }

    /// What is watched in every dataset: rows per day, the share of rejected rows, the completeness of
    /// each of `columns`. Rows per day are compared with those of the same weekday once there are enough
    /// weeks.
    pub fn defaults<'a>(columns: impl IntoIterator<Item = &'a str>) -> Vec<Monitor> {
        let share = LeastWidth {
            absolute: 0.02,
            relative: 0.0,
        };
        let rows = LeastWidth {
            absolute: 0.0,
            relative: 0.25,
        };
        let mut monitors = vec![
            Monitor {
                by_weekday: true,
                ..Monitor::usual(Metric::RowCount, Direction::Both, rows)
            },
            Monitor::usual(Metric::RejectedShare, Direction::Up, share),
        ];
        monitors.extend(columns.into_iter().map(|column| {
            Monitor::usual(
                Metric::Completeness(column.to_owned()),
                Direction::Down,
                share,
            )
        }));
        monitors
    }

    /// Reads the `anomaly` mapping of a contract's rule:
    /// `{ metric, method, direction, minimumHistory, per, segmentBy, most, deviations, factor, level,
    /// trend, season, leastAbsolute, leastRelative }`. Only `metric` is needed.
    ///
    /// # Errors
    /// The name of the wrong entry, what is wrong with it, and what to write.
    pub fn parse(mapping: &Map<String, Value>) -> Result<Self, Fault> {
        let entries = Entries(mapping);
        entries.unknown()?;
        let metric = entries.metric()?;
        let method = entries.method()?;
        let direction = match entries.text("direction")?.unwrap_or("both") {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "both" => Direction::Both,
            other => {
                return Err(Fault::new(
                    "direction",
                    format!("unknown direction '{other}'"),
                    "use up, down or both",
                ));
            }
        };
        let per = entries.per(method)?;
        let segment_by = entries.text("segmentBy")?;
        if segment_by.is_some() && metric != Metric::RowCount {
            return Err(Fault::new(
                "segmentBy",
                "only row_count is measured by segment",
                "remove segmentBy, or write metric: row_count",
            ));
        }
        Ok(Monitor {
            metric,
            segment_by: segment_by.map(str::to_owned),
            per,
            detector: Detector {
                method,
                direction,
                minimum_history: entries.minimum_history(method)?,
                least_width: LeastWidth {
                    absolute: entries.number("leastAbsolute", 0.0, 0.0..=f64::MAX)?,
                    relative: entries.number("leastRelative", 0.0, 0.0..=f64::MAX)?,
                },
                weekday_too: false,
            },
            by_weekday: false,
        })
    }
}

const KEYS: [&str; 14] = [
    "metric",
    "method",
    "direction",
    "minimumHistory",
    "per",
    "segmentBy",
    "most",
    "deviations",
    "factor",
    "level",
    "trend",
    "season",
    "leastAbsolute",
    "leastRelative",
];

/// The entries of an `anomaly` mapping, read one by one.
struct Entries<'a>(&'a Map<String, Value>);

impl Entries<'_> {
    fn unknown(&self) -> Result<(), Fault> {
        match self.0.keys().find(|name| !KEYS.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Fault::new(
                name,
                format!("unknown entry '{name}'"),
                format!("the entries are {}", KEYS.join(", ")),
            )),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(Fault::new(
                name,
                format!("{name} must be a text, not {other}"),
                "put it in quotes",
            )),
        }
    }

    fn number(&self, name: &str, default: f64, allowed: RangeInclusive<f64>) -> Result<f64, Fault> {
        let Some(value) = self.0.get(name) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|value| allowed.contains(value))
            .ok_or_else(|| {
                let (least, most) = allowed.into_inner();
                Fault::new(
                    name,
                    format!("{name} must be a number from {least} to {most}, not {value}"),
                    format!("write for example {name}: {default}"),
                )
            })
    }

    fn metric(&self) -> Result<Metric, Fault> {
        let name = self.text("metric")?.ok_or_else(|| {
            Fault::new("metric", "the metric is missing", "write metric: row_count")
        })?;
        Metric::parse(name).ok_or_else(|| {
            Fault::new(
                "metric",
                format!("unknown metric '{name}'"),
                "use row_count, rejected_share, arrival_seconds_of_day, latency_seconds, \
                 completeness:<column>, distinct:<column>, mean:<column>, sum:<column>, \
                 quantile:<p>:<column> or share:<column>=<value>",
            )
        })
    }

    fn method(&self) -> Result<Method, Fault> {
        let deviations = |usual| self.number("deviations", usual, 0.1..=100.0);
        Ok(match self.text("method")?.unwrap_or("mad") {
            "absoluteChange" => Method::AbsoluteChange { most: self.most()? },
            "relativeChange" => Method::RelativeChange { most: self.most()? },
            "onlineNormal" => Method::OnlineNormal {
                deviations: deviations(STANDARD_DEVIATIONS)?,
            },
            "mad" => Method::Mad {
                deviations: deviations(DEVIATIONS)?,
            },
            "iqr" => Method::Iqr {
                factor: self.number("factor", 1.5, 0.1..=100.0)?,
            },
            "seasonalMad" => Method::SeasonalMad {
                deviations: deviations(DEVIATIONS)?,
            },
            "holtWinters" => {
                let usual = Smoothing::default();
                Method::HoltWinters {
                    deviations: deviations(STANDARD_DEVIATIONS)?,
                    smoothing: Smoothing {
                        level: self.number("level", usual.level, 0.0..=1.0)?,
                        trend: self.number("trend", usual.trend, 0.0..=1.0)?,
                        season: self.number("season", usual.season, 0.0..=1.0)?,
                    },
                }
            }
            other => {
                return Err(Fault::new(
                    "method",
                    format!("unknown method '{other}'"),
                    "use absoluteChange, relativeChange, onlineNormal, mad, iqr, seasonalMad or holtWinters",
                ));
            }
        })
    }

    /// The greatest change that is expected, which has no default.
    fn most(&self) -> Result<f64, Fault> {
        let most = self.number("most", f64::NAN, 0.0..=f64::MAX)?;
        if most.is_nan() {
            return Err(Fault::new(
                "most",
                "the method needs the greatest change that is expected",
                "write most: 0.2",
            ));
        }
        Ok(most)
    }

    fn per(&self, method: Method) -> Result<Per, Fault> {
        let per = match self.text("per")?.unwrap_or("day") {
            "day" => Per::Day,
            "run" => Per::Run,
            other => {
                return Err(Fault::new(
                    "per",
                    format!("unknown per '{other}'"),
                    "use day or run",
                ));
            }
        };
        let seasonal = matches!(
            method,
            Method::SeasonalMad { .. } | Method::HoltWinters { .. }
        );
        if seasonal && per == Per::Run {
            return Err(Fault::new(
                "per",
                format!("{} compares days", method.name()),
                "write per: day",
            ));
        }
        Ok(per)
    }

    fn minimum_history(&self, method: Method) -> Result<usize, Fault> {
        let usual = method.usual_history();
        let least = method.least_history() as f64;
        let history = self.number("minimumHistory", usual as f64, least..=1000.0)?;
        if history.fract() != 0.0 {
            return Err(Fault::new(
                "minimumHistory",
                "minimumHistory must be a whole number",
                format!("write minimumHistory: {usual}"),
            ));
        }
        Ok(history as usize)
    }
}

/// What is wrong with a monitor of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry.
    pub entry: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    fn new(entry: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Fault {
            entry: entry.to_owned(),
            message: message.into(),
            help: help.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_monitor_of_a_contract_is_read_or_refused_with_what_to_do() {
        let parse = |value: Value| match value {
            Value::Object(map) => Monitor::parse(&map),
            _ => panic!("no mapping"),
        };
        let monitor = parse(json!({
            "metric": "share:country=DE", "method": "iqr", "direction": "down", "minimumHistory": 10,
            "factor": 3, "leastAbsolute": 0.05
        }))
        .unwrap();
        assert_eq!(monitor.metric.to_string(), "share:country=DE");
        assert_eq!(monitor.detector.method, Method::Iqr { factor: 3.0 });
        assert_eq!(monitor.detector.minimum_history, 10);
        assert_eq!(
            parse(json!({ "metric": "row_count" }))
                .unwrap()
                .detector
                .method
                .name(),
            "mad"
        );
        for (wrong, entry) in [
            (json!({}), "metric"),
            (json!({ "metric": "rows" }), "metric"),
            (json!({ "metric": 7 }), "metric"),
            (
                json!({ "metric": "row_count", "methods": "mad" }),
                "methods",
            ),
            (
                json!({ "metric": "row_count", "method": "guess" }),
                "method",
            ),
            (
                json!({ "metric": "row_count", "method": "relativeChange" }),
                "most",
            ),
            (
                json!({ "metric": "row_count", "method": "mad", "deviations": 0 }),
                "deviations",
            ),
            (
                json!({ "metric": "row_count", "direction": "sideways" }),
                "direction",
            ),
            (json!({ "metric": "row_count", "per": "hour" }), "per"),
            (
                json!({ "metric": "row_count", "per": "run", "method": "holtWinters" }),
                "per",
            ),
            (
                json!({ "metric": "row_count", "method": "iqr", "minimumHistory": 3 }),
                "minimumHistory",
            ),
            (
                json!({ "metric": "row_count", "minimumHistory": 7.5 }),
                "minimumHistory",
            ),
            (
                json!({ "metric": "mean:total", "segmentBy": "country" }),
                "segmentBy",
            ),
        ] {
            let fault = parse(wrong.clone()).unwrap_err();
            assert_eq!(fault.entry, entry, "{wrong}: {fault:?}");
            assert!(!fault.help.is_empty());
        }
    }
}
