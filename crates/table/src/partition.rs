//! Partition values: days and months since 1970-01, also before it.

use iceberg::spec::{Datum, PrimitiveLiteral, PrimitiveType};
use tarn_core::calendar::{MICROS_PER_DAY, partition_of_day};
use tarn_core::schema::{PartitionUnit, PartitionValue};

/// The partition that a bound of the partition column falls into; None where it has none.
pub(crate) fn of_datum(datum: &Datum, unit: PartitionUnit) -> PartitionValue {
    let day = match (datum.data_type(), datum.literal()) {
        (PrimitiveType::Date, PrimitiveLiteral::Int(days)) => *days,
        (PrimitiveType::Timestamptz, PrimitiveLiteral::Long(micros)) => {
            i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?
        }
        _ => return None,
    };
    Some(partition_of_day(day, unit))
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
}
