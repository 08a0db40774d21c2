//! Sample data of a small online shop: every source kind, with data that make sense together.
//!
//! Orders name the campaigns whose conversions name the orders; access logs have the visits that
//! led to orders; order totals are the sum of their items less discount plus shipping, and payments
//! are the totals. The same plan gives the same bytes on every machine. A few faults are put in on
//! purpose, and counted, so that quarantine has something to show.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod access_log;
mod ads;
mod campaigns;
mod database;
mod dice;
pub mod faults;
mod orders;
mod output;
mod shop;
mod social;
mod social_text;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use chrono::{Datelike, Days, NaiveDate};
use tarn_core::{Error, ErrorKind, Result};

use crate::shop::Shop;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The share of each hour (UTC) in a day's business.
const HOURS: [u64; 24] = [
    6, 4, 3, 2, 2, 3, 7, 14, 24, 32, 38, 42, 46, 44, 41, 40, 42, 48, 58, 66, 68, 54, 32, 15,
];
/// The share of each weekday in a week's business, Monday first.
const WEEKDAYS: [u64; 7] = [104, 96, 94, 98, 106, 118, 130];

/// What to generate.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Chooses among all possible shops.
    pub seed: u64,
    /// Days of business, 1 to 3,660.
    pub days: u32,
    /// How much there is: 1.0 is about 4,000 orders, 40,000 log lines, 600 posts and 20,000 ad
    /// events in 14 days, and 2,000 customers. 0.001 to 1,000.
    pub scale: f64,
    /// The first day (UTC).
    pub start: NaiveDate,
    /// The folder to write to; made where it is missing. Files of the same names are replaced.
    pub out: PathBuf,
}

impl Plan {
    /// 14 days from 2026-01-01 at scale 1.
    pub fn new(seed: u64, out: PathBuf) -> Self {
        Plan {
            seed,
            days: 14,
            scale: 1.0,
            start: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap_or_default(),
            out,
        }
    }

    /// How many there are in the whole period, if there are `in_a_fortnight` in 14 days at scale 1.
    fn count(&self, in_a_fortnight: u64) -> u64 {
        self.scaled(in_a_fortnight * u64::from(self.days) / 14)
            .max(1)
    }

    /// `number` times the scale. Multiplication and rounding of floating point numbers are exact by IEEE
    /// 754, so the result is the same everywhere.
    fn scaled(&self, number: u64) -> u64 {
        (number as f64 * self.scale).round() as u64
    }

    /// A day of the period, counted from 0.
    fn date(&self, day: u32) -> NaiveDate {
        self.start
            .checked_add_days(Days::new(u64::from(day)))
            .unwrap_or(self.start)
    }

    /// The first second of a day, counted from 1970-01-01T00:00:00Z.
    fn midnight(&self, day: u32) -> i64 {
        self.date(day)
            .and_time(chrono::NaiveTime::MIN)
            .and_utc()
            .timestamp()
    }

    /// The share of each day in the business of the period: business has a weekly rhythm and grows
    /// slowly.
    fn day_weights(&self) -> Vec<u64> {
        (0..self.days)
            .map(|day| {
                let weekday = self.date(day).weekday().num_days_from_monday() as usize;
                WEEKDAYS[weekday] * (1_000 + u64::from(day) * 4)
            })
            .collect()
    }

    fn check(&self) -> Result<()> {
        let fault = if self.days == 0 || self.days > 3_660 {
            "days must be from 1 to 3660"
        } else if !(0.001..=1_000.0).contains(&self.scale) {
            "scale must be from 0.001 to 1000"
        } else if !(1971..=2200).contains(&self.start.year()) {
            "the first day must be in the years 1971 to 2200"
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("cannot generate sample data: {fault}"),
        ))
    }
}

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A SQLite file of the whole shop at one time.
    Database,
    /// One day of a web server's log.
    AccessLog,
    /// Posts that mention the shop.
    SocialPosts,
    /// Ad events as their producers send them.
    AdEvents,
}

impl Kind {
    /// A name for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Database => "database",
            Kind::AccessLog => "access_log",
            Kind::SocialPosts => "social_posts",
            Kind::AdEvents => "ad_events",
        }
    }
}

/// A file that was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub kind: Kind,
    /// Rows of all tables, lines or posts, faulty ones and duplicates included.
    pub rows: u64,
    /// Rows that are wrong in themselves and belong in quarantine.
    pub defects: u64,
    /// Rows that are right but repeat an earlier one, of this file or of one before it.
    pub duplicates: u64,
}

/// What a part of the generator reports about its work.
type Progress<'a> = &'a mut dyn FnMut(&str, u64);

/// Generates the sample data. `progress` is called after each file with the name of its kind
/// ([`Kind::as_str`]) and the rows of that kind so far. Files come in the order of their kind, and
/// within a kind in the order of time, in which they should be ingested.
///
/// # Errors
/// `BadRequest` for a plan out of bounds, `Storage` where a file cannot be written.
pub fn generate(plan: &Plan, progress: &mut dyn FnMut(&str, u64)) -> Result<Vec<Generated>> {
    plan.check()?;
    let shop = Shop::new(plan);
    let mut files = database::write(plan, &shop, progress)?;
    files.extend(access_log::write(plan, &shop, progress)?);
    files.extend(social::write(plan, &shop, progress)?);
    files.extend(ads::write(plan, &shop, progress)?);
    Ok(files)
}

/// The day and second at which something happens on a day that begins at `midnight`.
fn moment(dice: &mut dice::Dice, midnight: i64) -> i64 {
    let hour = dice.weighted(&HOURS) as i64;
    midnight + hour * 3_600 + dice.between(0, 3_599)
}
