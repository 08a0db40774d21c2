//! Partition values: days and months since 1970-01, also before it.

use chrono::{DateTime, Datelike, NaiveDate};
use iceberg::spec::{Datum, PrimitiveLiteral, PrimitiveType};
use tarn_core::schema::{PartitionUnit, PartitionValue};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The partition that a day (since 1970-01-01) falls into; None outside the calendar.
pub(crate) fn of_day(day: i32, unit: PartitionUnit) -> PartitionValue {
    match unit {
        PartitionUnit::Day => Some(day),
        PartitionUnit::Month => {
            let epoch = DateTime::UNIX_EPOCH.date_naive();
            let date: NaiveDate =
                epoch.checked_add_signed(chrono::TimeDelta::try_days(i64::from(day))?)?;
            let years = date.year().checked_sub(1970)?;
            years
                .checked_mul(12)?
                .checked_add(i32::try_from(date.month0()).ok()?)
        }
    }
}

/// The partition that a bound of the partition column falls into; None where it has none.
pub(crate) fn of_datum(datum: &Datum, unit: PartitionUnit) -> PartitionValue {
    let day = match (datum.data_type(), datum.literal()) {
        (PrimitiveType::Date, PrimitiveLiteral::Int(days)) => *days,
        (PrimitiveType::Timestamptz, PrimitiveLiteral::Long(micros)) => {
            i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?
        }
        _ => return None,
    };
    of_day(day, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_microsecond_before_1970_is_in_the_partition_minus_one() {
        let instant = Datum::timestamptz_micros(-1);
        assert_eq!(of_datum(&instant, PartitionUnit::Day), Some(-1));
        assert_eq!(of_datum(&instant, PartitionUnit::Month), Some(-1));
        assert_eq!(
            of_datum(&Datum::timestamptz_micros(0), PartitionUnit::Month),
            Some(0)
        );
    }

    #[test]
    fn months_count_from_january_1970_in_both_directions() {
        for (date, month) in [
            ((1969, 12, 1), -1),
            ((1968, 1, 31), -24),
            ((1970, 2, 1), 1),
            ((2026, 3, 31), 674),
        ] {
            let days = NaiveDate::from_ymd_opt(date.0, date.1, date.2)
                .and_then(|date| {
                    i32::try_from(
                        date.signed_duration_since(DateTime::UNIX_EPOCH.date_naive())
                            .num_days(),
                    )
                    .ok()
                })
                .unwrap_or_default();
            assert_eq!(of_day(days, PartitionUnit::Month), Some(month), "{date:?}");
        }
    }

    #[test]
    fn a_day_outside_the_calendar_has_no_month() {
        assert_eq!(of_day(i32::MAX, PartitionUnit::Month), None);
        assert_eq!(of_day(i32::MIN, PartitionUnit::Month), None);
    }
}
