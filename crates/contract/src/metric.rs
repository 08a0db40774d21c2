//! What is measured of the rows of a dataset, by name.

use std::fmt;

/// A metric of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// `row_count`: rows received.
    RowCount,
    /// `rejected_share`: rejected rows as a share of those received, from 0 to 1.
    RejectedShare,
    /// `arrival_seconds_of_day`: when the last object of a day arrived, in seconds since the day's
    /// begin (UTC).
    ArrivalSecondsOfDay,
    /// `latency_seconds`: from the put of the object to the end of its run.
    LatencySeconds,
    /// `completeness:<column>`: the share of rows with a value that is neither blank nor a sentinel.
    Completeness(String),
    /// `distinct:<column>`: distinct values in an object.
    Distinct(String),
    /// `mean:<column>`
    Mean(String),
    /// `sum:<column>`
    Sum(String),
    /// `quantile:<p>:<column>`, p from 0 to 1.
    Quantile(f64, String),
    /// `share:<column>=<category>`: the share of rows that have this value.
    Share(String, String),
}

/// How the values of several objects of a day become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// They are added.
    Sum,
    /// What was counted is added, and the share is of the sums.
    Share,
    /// The mean, weighted by rows. Exact for a mean; for a quantile an approximation.
    Mean,
    /// The greatest.
    Greatest,
}

impl Metric {
    /// The metric of that name; None where there is none.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
        let column = || (!rest.is_empty()).then(|| rest.to_owned());
        match kind {
            "row_count" if rest.is_empty() => Some(Metric::RowCount),
            "rejected_share" if rest.is_empty() => Some(Metric::RejectedShare),
            "arrival_seconds_of_day" if rest.is_empty() => Some(Metric::ArrivalSecondsOfDay),
            "latency_seconds" if rest.is_empty() => Some(Metric::LatencySeconds),
            "completeness" => column().map(Metric::Completeness),
            "distinct" => column().map(Metric::Distinct),
            "mean" => column().map(Metric::Mean),
            "sum" => column().map(Metric::Sum),
            "quantile" => {
                let (p, column) = rest.split_once(':')?;
                let p: f64 = p.parse().ok()?;
                ((0.0..=1.0).contains(&p) && !column.is_empty())
                    .then(|| Metric::Quantile(p, column.to_owned()))
            }
            "share" => {
                let (column, category) = rest.split_once('=')?;
                (!column.is_empty()).then(|| Metric::Share(column.to_owned(), category.to_owned()))
            }
            _ => None,
        }
    }

    /// The column that it looks at.
    pub fn column(&self) -> Option<&str> {
        match self {
            Metric::RowCount
            | Metric::RejectedShare
            | Metric::ArrivalSecondsOfDay
            | Metric::LatencySeconds => None,
            Metric::Completeness(column)
            | Metric::Distinct(column)
            | Metric::Mean(column)
            | Metric::Sum(column)
            | Metric::Quantile(_, column)
            | Metric::Share(column, _) => Some(column),
        }
    }

    /// How the values of a day's objects become one.
    pub fn combine(&self) -> Combine {
        match self {
            Metric::RowCount | Metric::Sum(_) => Combine::Sum,
            Metric::RejectedShare | Metric::Completeness(_) | Metric::Share(..) => Combine::Share,
            Metric::Mean(_) | Metric::Quantile(..) => Combine::Mean,
            Metric::ArrivalSecondsOfDay | Metric::LatencySeconds | Metric::Distinct(_) => {
                Combine::Greatest
            }
        }
    }

    /// Whether its values are shares, from 0 to 1.
    pub fn is_share(&self) -> bool {
        self.combine() == Combine::Share
    }

    /// Whether its values count things or time, and so are never below 0.
    pub fn is_never_negative(&self) -> bool {
        !matches!(
            self,
            Metric::Mean(_) | Metric::Sum(_) | Metric::Quantile(..)
        )
    }

    /// The metric for people: `rows`, `completeness of channel`.
    pub fn words(&self) -> String {
        match self {
            Metric::RowCount => "rows".to_owned(),
            Metric::RejectedShare => "share of rejected rows".to_owned(),
            Metric::ArrivalSecondsOfDay => "time of arrival".to_owned(),
            Metric::LatencySeconds => "latency".to_owned(),
            Metric::Completeness(column) => format!("completeness of {column}"),
            Metric::Distinct(column) => format!("distinct values of {column}"),
            Metric::Mean(column) => format!("mean of {column}"),
            Metric::Sum(column) => format!("sum of {column}"),
            Metric::Quantile(p, column) if *p == 0.5 => format!("median of {column}"),
            Metric::Quantile(p, column) => format!("{p} quantile of {column}"),
            Metric::Share(column, category) => format!("share of {column} = {category}"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metric::RowCount => f.write_str("row_count"),
            Metric::RejectedShare => f.write_str("rejected_share"),
            Metric::ArrivalSecondsOfDay => f.write_str("arrival_seconds_of_day"),
            Metric::LatencySeconds => f.write_str("latency_seconds"),
            Metric::Completeness(column) => write!(f, "completeness:{column}"),
            Metric::Distinct(column) => write!(f, "distinct:{column}"),
            Metric::Mean(column) => write!(f, "mean:{column}"),
            Metric::Sum(column) => write!(f, "sum:{column}"),
            Metric::Quantile(p, column) => write!(f, "quantile:{p}:{column}"),
            Metric::Share(column, category) => write!(f, "share:{column}={category}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_metric_is_read_from_the_name_that_it_writes() {
        for name in [
            "row_count",
            "rejected_share",
            "arrival_seconds_of_day",
            "latency_seconds",
            "completeness:channel",
            "distinct:channel",
            "mean:total",
            "sum:total",
            "quantile:0.95:total",
            "share:channel=web",
            "share:channel=a=b:c",
            "share:channel=",
        ] {
            let metric = Metric::parse(name).unwrap();
            assert_eq!(metric.to_string(), name);
        }
        for name in [
            "",
            "rows",
            "row_count:x",
            "mean",
            "mean:",
            "quantile:2:total",
            "quantile:total",
            "share:channel",
        ] {
            assert_eq!(Metric::parse(name), None, "{name}");
        }
    }
}
