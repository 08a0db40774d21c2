//! Four weeks of sales with seeded faults: what quality reports have to find, and nothing else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

/// The contracts of the sales and of the customers that they name, with the names of their files.
pub const CONTRACTS: [(&str, &str); 2] = [
    ("customers.odcs.yaml", include_str!("customers.odcs.yaml")),
    ("sales.odcs.yaml", include_str!("sales.odcs.yaml")),
];

/// The dataset that the faults are seeded in.
pub const DATASET: &str = "sales";

/// Days of sales: enough of them come before the first fault to be its history.
pub const DAYS: u32 = 28;

const CUSTOMERS: u32 = 50;

/// What is wrong with a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A column lacks values that it had on all other days.
    Nulls,
    /// Rows come twice.
    Duplicates,
    /// Values below the least that the contract allows.
    OutOfRange,
    /// References to rows that do not exist.
    Orphans,
    /// No file came.
    DroppedDay,
    /// Several times as many rows as on other days.
    VolumeSpike,
    /// Numbers became texts.
    DriftedType,
    /// A key that the contract does not know.
    NewColumn,
}

impl Fault {
    /// Every fault, in the order of their days.
    pub const ALL: [Fault; 8] = [
        Fault::Nulls,
        Fault::Duplicates,
        Fault::OutOfRange,
        Fault::Orphans,
        Fault::DroppedDay,
        Fault::VolumeSpike,
        Fault::DriftedType,
        Fault::NewColumn,
    ];

    /// A name for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Nulls => "nulls",
            Fault::Duplicates => "duplicates",
            Fault::OutOfRange => "out-of-range",
            Fault::Orphans => "orphans",
            Fault::DroppedDay => "dropped-day",
            Fault::VolumeSpike => "volume-spike",
            Fault::DriftedType => "drifted-type",
            Fault::NewColumn => "new-column",
        }
    }

    /// What is seeded, for people.
    pub fn seeded(self) -> &'static str {
        match self {
            Fault::Nulls => "a third of channel is null",
            Fault::Duplicates => "3 sales come twice",
            Fault::OutOfRange => "3 prices are negative",
            Fault::Orphans => "3 sales name no customer",
            Fault::DroppedDay => "no file came",
            Fault::VolumeSpike => "four times as many sales",
            Fault::DriftedType => "three quarters of price are texts",
            Fault::NewColumn => "sales have a key coupon",
        }
    }

    /// The number of its day, from 0.
    fn number(self) -> u32 {
        match self {
            Fault::Nulls => 12,
            Fault::Duplicates => 14,
            Fault::OutOfRange => 16,
            Fault::Orphans => 18,
            Fault::DroppedDay => 20,
            Fault::VolumeSpike => 22,
            Fault::DriftedType => 24,
            Fault::NewColumn => 26,
        }
    }

    /// The day that it is seeded in.
    pub fn day(self) -> NaiveDate {
        day(self.number())
    }

    /// The names of what the report of its day has to find: all of these, and nothing else.
    pub fn findings(self) -> Vec<String> {
        let of_day = |what: &str| format!("{DATASET}/{what}/{}", self.day());
        let rule = |name: &str| name.to_owned();
        match self {
            Fault::Nulls => vec![of_day("completeness:channel")],
            Fault::Duplicates => vec![rule("duplicate")],
            Fault::OutOfRange => vec![rule("price.minimum")],
            Fault::Orphans => vec![rule("customer_id.reference")],
            Fault::DroppedDay => vec![rule("rows_per_day"), of_day("row_count")],
            Fault::VolumeSpike => vec![of_day("row_count")],
            Fault::DriftedType => vec![
                rule("price.drift"),
                rule("price.type"),
                of_day("rejected_share"),
            ],
            Fault::NewColumn => vec![rule("coupon.drift")],
        }
    }
}

/// Which faults to seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(BTreeSet<Fault>);

impl Faults {
    /// The faults, in the order of their days.
    pub fn iter(&self) -> impl Iterator<Item = Fault> {
        self.0.iter().copied()
    }

    /// The fault of a day.
    pub fn of_day(&self, day: NaiveDate) -> Option<Fault> {
        self.iter().find(|fault| fault.day() == day)
    }
}

impl FromStr for Faults {
    type Err = String;

    /// `all`, `none`, or names with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Faults(Fault::ALL.into())),
            "none" => return Ok(Faults(BTreeSet::new())),
            _ => {}
        }
        let named = |name: &str| {
            let found = Fault::ALL.into_iter().find(|fault| fault.as_str() == name);
            found.ok_or_else(|| {
                let names = Fault::ALL.map(Fault::as_str).join(", ");
                format!("{name} is not one of {names}; write all or none without other names")
            })
        };
        text.split(',')
            .map(named)
            .collect::<Result<_, _>>()
            .map(Faults)
    }
}

/// A day of the four weeks. The first week begins on a Monday.
pub fn day(number: u32) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap_or_default();
    first
        .checked_add_days(Days::new(u64::from(number)))
        .unwrap_or(first)
}

/// A file as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The day that it arrives on (UTC).
    pub day: NaiveDate,
    /// The folder of its source that it belongs to.
    pub folder: &'static str,
    /// Its name.
    pub name: &'static str,
    /// JSON lines; None if no file arrives on the day.
    pub text: Option<String>,
}

/// The source that the files come from.
pub const SOURCE: &str = "shop";

/// The customers, and the sales of every day, in the order in which they arrive.
pub fn arrivals(faults: &Faults) -> Vec<Arrival> {
    let mut customers = String::new();
    for id in 0..CUSTOMERS {
        line(&mut customers, &json!({ "id": id }));
    }
    let customers = Arrival {
        day: day(0),
        folder: "customers",
        name: "customers.jsonl",
        text: Some(customers),
    };
    let sales = (0..DAYS).map(|number| Arrival {
        day: day(number),
        folder: DATASET,
        name: "sales.jsonl",
        text: sales(number, faults.of_day(day(number))),
    });
    std::iter::once(customers).chain(sales).collect()
}

fn line(text: &mut String, row: &Value) {
    // Writing to a string cannot fail.
    writeln!(text, "{row}").unwrap_or_default();
}

fn sales(number: u32, fault: Option<Fault>) -> Option<String> {
    let rows = match fault {
        Some(Fault::DroppedDay) => return None,
        Some(Fault::VolumeSpike) => 900,
        _ => 200 + number * 37 % 17,
    };
    let mut text = String::new();
    for row in 0..rows {
        let channel = match row % 3 {
            0 => "web",
            1 => "app",
            _ => "store",
        };
        let mut sale = json!({
            "sale_id": format!("{number}-{row}"),
            "sale_time": format!("{}T{:02}:{:02}:00Z", day(number), row % 24, row % 60),
            "channel": channel,
            "customer_id": row % CUSTOMERS,
            "price": 100 + row,
        });
        match fault {
            Some(Fault::Nulls) if row % 3 == 0 => sale["channel"] = Value::Null,
            Some(Fault::OutOfRange) if row < 3 => sale["price"] = json!(-5),
            Some(Fault::Orphans) if row < 3 => sale["customer_id"] = json!(9_999),
            Some(Fault::DriftedType) if row % 4 != 0 => sale["price"] = json!("12 EUR"),
            Some(Fault::NewColumn) => sale["coupon"] = json!("SPRING"),
            _ => {}
        }
        line(&mut text, &sale);
        if fault == Some(Fault::Duplicates) && row < 3 {
            line(&mut text, &sale);
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn faults_are_chosen_by_name_and_each_has_a_day_of_its_own() {
        let all: Faults = "all".parse().unwrap();
        let days: BTreeSet<NaiveDate> = all.iter().map(Fault::day).collect();
        assert_eq!(days.len(), Fault::ALL.len());
        let some: Faults = "orphans,nulls".parse().unwrap();
        assert!(some.iter().eq([Fault::Nulls, Fault::Orphans]));
        assert!("none".parse::<Faults>().unwrap().iter().next().is_none());
        for wrong in ["", "nulls,", "all,nulls", "Nulls"] {
            assert!(wrong.parse::<Faults>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_differs_from_the_sound_one_only_on_the_days_of_faults() {
        let (faulty, sound) = ("all".parse().unwrap(), "none".parse().unwrap());
        for (a, b) in arrivals(&faulty).iter().zip(&arrivals(&sound)) {
            let seeded = a.folder == DATASET && faulty.of_day(a.day).is_some();
            assert_eq!(a != b, seeded, "{}", a.day);
        }
    }
}
