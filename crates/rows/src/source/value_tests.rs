#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;

fn column(name: &str, ty: ColumnType, encoding: Encoding) -> Column {
    Column::optional(name, ty, encoding)
}

const MONEY: ColumnType = ColumnType::Decimal {
    precision: 10,
    scale: 2,
};

fn decode(column: &Column, value: Scalar<'_>) -> Result<ColumnData, String> {
    let mut data = ColumnData::new(&column.ty);
    Decoder::new(column)
        .unwrap()
        .push(value, &mut data)
        .map_err(|reason| {
            assert_eq!(data.len(), 0, "a refused value leaves no trace");
            reason.to_string()
        })?;
    assert_eq!(data.len(), 1);
    Ok(data)
}

fn long(ty: ColumnType, encoding: Encoding, value: Scalar<'_>) -> Result<i64, String> {
    match decode(&column("x", ty, encoding), value)? {
        ColumnData::Long(data) => Ok::<i64, String>(data.values[0]),
        ColumnData::Int(data) => Ok(i64::from(data.values[0])),
        other => panic!("{other:?}"),
    }
}

fn number(text: &str) -> Scalar<'_> {
    Scalar::Number(Number::parse(text.as_bytes()).unwrap())
}

fn text(text: &str) -> Scalar<'_> {
    Scalar::Text(text.as_bytes())
}

#[test]
fn decimals_are_exact_or_refused() {
    let money = |value| long(MONEY, Encoding::Natural, value);
    assert_eq!(money(number("12.5")), Ok(1250));
    assert_eq!(money(text("12.50")), Ok(1250));
    assert_eq!(money(text("-0.010")), Ok(-1));
    assert_eq!(money(number("1.25e1")), Ok(1250));
    assert_eq!(money(Scalar::Integer(3)), Ok(300));
    assert_eq!(money(number("99999999.99")), Ok(9_999_999_999));
    assert_eq!(
        money(number("100000000.00")).unwrap_err(),
        "expected a number in the range of the column's decimal, found 100000000.00"
    );
    assert_eq!(
        money(text("1.005")).unwrap_err(),
        "expected at most 2 digits after the point, found the text \"1.005\""
    );
    assert_eq!(
        money(number("1e30")).unwrap_err(),
        "expected a number in the range of a decimal, found 1e30"
    );
    assert_eq!(
        money(text("12,50")).unwrap_err(),
        "expected a decimal such as 12.50, found the text \"12,50\""
    );
    assert!(money(text("")).is_err() && money(text(" 1")).is_err() && money(text("NaN")).is_err());
    assert!(
        money(Scalar::Real(0.5))
            .unwrap_err()
            .contains("encoding to real")
    );
}

#[test]
fn minor_units_are_rescaled_exactly_or_refused() {
    let units = |scale, unit, value| {
        long(
            ColumnType::Decimal {
                precision: 18,
                scale,
            },
            Encoding::MinorUnits(unit),
            value,
        )
    };
    assert_eq!(units(6, 6, number("4587")), Ok(4587));
    assert_eq!(units(2, 6, number("4590000")), Ok(459));
    assert_eq!(
        units(2, 6, number("4587")).unwrap_err(),
        "expected units of 10^-6 with at most 2 digits after the point, found 4587"
    );
    assert_eq!(units(4, 2, Scalar::Integer(199)), Ok(19_900));
    assert!(
        units(6, 2, number("9223372036854775807"))
            .unwrap_err()
            .contains("in the range of")
    );
    assert!(units(2, 2, number("1.5")).is_err());
    assert_eq!(units(2, 2, text("150")), Ok(150));
    assert!(units(2, 2, text("1.5")).is_err() && units(2, 2, text("cents")).is_err());
    assert_eq!(units(2, 255, number("0")), Ok(0));
    assert!(units(2, 255, number("1")).is_err());
}

#[test]
fn a_quoted_whole_number_is_a_number() {
    let of = |ty, value| long(ty, Encoding::Natural, value);
    for ty in [ColumnType::Int, ColumnType::Long] {
        assert_eq!(of(ty.clone(), text("12")), Ok(12));
        assert_eq!(of(ty.clone(), text("-12")), Ok(-12));
        for other in [
            "", " 12", "12.0", "1e3", "+12", "012", "0x12", "twelve", "１２",
        ] {
            assert!(of(ty.clone(), text(other)).is_err(), "{other}");
        }
    }
    assert_eq!(
        of(ColumnType::Long, text("9223372036854775807")),
        Ok(i64::MAX)
    );
    let reason = of(ColumnType::Long, text("9223372036854775808")).unwrap_err();
    assert!(reason.contains("in the range of"), "{reason}");
    assert!(of(ColumnType::Int, text("2147483648")).is_err());
}

#[test]
fn an_instant_that_its_unit_makes_implausible_is_refused_with_the_likely_unit() {
    fn of(encoding: Encoding, value: Scalar<'_>) -> Result<i64, String> {
        long(ColumnType::Timestamp, encoding, value)
    }
    // 2026-01-05T08:00:00Z.
    let seconds = 1_767_600_000;
    let micros = seconds * 1_000_000;
    for (encoding, value) in [
        (Encoding::EpochSeconds, seconds),
        (Encoding::EpochMillis, seconds * 1_000),
        (Encoding::EpochMicros, micros),
    ] {
        assert_eq!(of(encoding, Scalar::Integer(value)), Ok(micros));
        let digits = value.to_string();
        assert_eq!(of(encoding, number(&digits)), Ok(micros));
        assert_eq!(of(encoding, text(&digits)), Ok(micros));
        let mut data = ColumnData::new(&ColumnType::Timestamp);
        let decoder = Decoder::new(&column("x", ColumnType::Timestamp, encoding)).unwrap();
        decoder.push_integer(seconds, &mut data);
        assert_eq!(data.len(), 0, "what is not plausible is for push to judge");
    }
    for (encoding, value, unit) in [
        (Encoding::EpochMillis, "1767600000", "seconds"),
        (Encoding::EpochSeconds, "1767600000000", "milliseconds"),
        (Encoding::EpochMillis, "1767600000000000", "microseconds"),
        (Encoding::EpochMicros, "1767600000000", "milliseconds"),
        (Encoding::EpochSeconds, "1767600000000000000", "nanoseconds"),
        (Encoding::EpochMillis, "1767600000000000000", "nanoseconds"),
    ] {
        for value in [number(value), text(value)] {
            let reason = of(encoding, value).unwrap_err();
            assert!(reason.contains(&format!("looks like {unit}")), "{reason}");
        }
    }
    let reason = of(Encoding::EpochMillis, number("0")).unwrap_err();
    assert!(
        reason.starts_with("expected milliseconds since 1970, from 2000-01-01 to 20")
            && reason.ends_with(", found 0"),
        "{reason}"
    );
    let ahead = Utc::now().timestamp_millis() + 3 * 366 * 86_400_000;
    assert!(of(Encoding::EpochMillis, Scalar::Integer(ahead)).is_err());
    // The contract's own bounds count instead.
    let mut bounded = column("x", ColumnType::Timestamp, Encoding::EpochSeconds);
    bounded.bounded.below = true;
    assert!(decode(&bounded, number("0")).is_ok() && decode(&bounded, number("-1")).is_ok());
    assert!(decode(&bounded, number("9000000000")).is_err());
    bounded.bounded.above = true;
    assert!(decode(&bounded, number("9000000000")).is_ok());
}

#[test]
fn booleans_as_texts_are_read() {
    let column = column("x", ColumnType::Boolean, Encoding::BooleanText);
    let of = |value| match decode(&column, value) {
        Ok(ColumnData::Boolean(data)) => Ok(data.values[0]),
        Ok(other) => panic!("{other:?}"),
        Err(reason) => Err(reason),
    };
    for (word, expected) in [
        ("t", true),
        ("f", false),
        ("TRUE", true),
        ("False", false),
        ("Y", true),
        ("n", false),
        ("yes", true),
        ("NO", false),
        ("1", true),
        ("0", false),
    ] {
        assert_eq!(of(text(word)), Ok(expected), "{word}");
    }
    assert_eq!(of(Scalar::Boolean(true)), Ok(true));
    assert_eq!(of(Scalar::Integer(0)), Ok(false));
    for word in ["", "2", "tr", "ja", " t"] {
        assert!(of(text(word)).is_err(), "{word}");
    }
}

#[test]
fn real_money_is_rounded_half_to_even() {
    let money = |value: Scalar<'_>| long(MONEY, Encoding::Real, value);
    for (real, cents) in [
        (0.1 + 0.2, 30),
        (1.005, 100),
        (1.015, 102),
        (2.675, 268),
        (-1.015, -102),
        (0.99, 99),
        (5.0, 500),
        (-0.0, 0),
        (1e-320, 0),
        (99_999_999.99, 9_999_999_999),
    ] {
        assert_eq!(money(Scalar::Real(real)), Ok(cents), "{real}");
        let written = format!("{real}");
        assert_eq!(money(number(&written)), Ok(cents), "{real}");
    }
    for real in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e8, 1e300] {
        assert!(
            money(Scalar::Real(real))
                .unwrap_err()
                .contains("in the range of"),
            "{real}"
        );
    }
}

#[test]
fn integers_keep_their_range() {
    assert_eq!(
        long(ColumnType::Int, Encoding::Natural, number("-2147483648")),
        Ok(-2_147_483_648)
    );
    assert_eq!(
        long(ColumnType::Int, Encoding::Natural, number("2147483648")).unwrap_err(),
        "expected a number in the range of a 32-bit integer, found 2147483648"
    );
    assert_eq!(
        long(
            ColumnType::Long,
            Encoding::Natural,
            number("9223372036854775808")
        )
        .unwrap_err(),
        "expected a number in the range of a whole number of at most 64 bits, found 9223372036854775808"
    );
    assert_eq!(
        long(ColumnType::Long, Encoding::Natural, number("1.5")).unwrap_err(),
        "expected a whole number of at most 64 bits, found 1.5"
    );
    assert_eq!(
        long(ColumnType::Long, Encoding::Natural, number("12.0")),
        Ok(12)
    );
    assert_eq!(
        long(ColumnType::Long, Encoding::Natural, Scalar::Real(12.0)),
        Ok(12)
    );
    assert!(long(ColumnType::Long, Encoding::Natural, Scalar::Real(1e300)).is_err());
    let id = column("user_id", ColumnType::Long, Encoding::Natural);
    assert!(decode(&id, text("1790000000002042002")).is_ok());
    assert!(
        decode(&id, text("12.0")).is_err()
            && decode(&id, text("u12")).is_err()
            && decode(&id, text("")).is_err()
    );
}

#[test]
fn times_are_instants_of_the_calendar() {
    let instant = |encoding, value| {
        let mut column = column("x", ColumnType::Timestamp, encoding);
        (column.bounded.below, column.bounded.above) = (true, true);
        match decode(&column, value)? {
            ColumnData::Long(data) => Ok::<i64, String>(data.values[0]),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        instant(Encoding::EpochMillis, number("1767225600778")),
        Ok(1_767_225_600_778_000)
    );
    assert_eq!(
        instant(Encoding::EpochSeconds, number("1767225600.25")),
        Ok(1_767_225_600_250_000)
    );
    assert_eq!(
        instant(Encoding::EpochSeconds, Scalar::Real(0.5)),
        Ok(500_000)
    );
    assert_eq!(
        instant(Encoding::EpochSeconds, number("-1")),
        Ok(-1_000_000)
    );
    // Microseconds by mistake: the year 57970.
    assert!(
        instant(Encoding::EpochMillis, number("1767225600778000"))
            .unwrap_err()
            .contains("in the range of")
    );
    assert!(instant(Encoding::EpochMillis, text("now")).is_err());
    assert_eq!(
        instant(Encoding::Natural, text("1970-01-01 00:00:01")),
        Ok(1_000_000)
    );
    assert_eq!(
        instant(Encoding::Natural, text("2026-02-31T00:00:00Z")).unwrap_err(),
        "expected a day of the calendar, found the text \"2026-02-31T00:00:00Z\""
    );
    assert!(instant(Encoding::Natural, number("1767225600")).is_err());
    assert_eq!(
        long(ColumnType::Date, Encoding::Natural, text("1970-02-01")),
        Ok(31)
    );
    assert!(long(ColumnType::Date, Encoding::Natural, text("31/Feb/2026")).is_err());
}

#[test]
fn booleans_and_doubles_and_texts_take_what_they_can_hold() {
    let flag = column("x", ColumnType::Boolean, Encoding::Natural);
    assert!(
        decode(&flag, Scalar::Boolean(true)).is_ok() && decode(&flag, Scalar::Integer(1)).is_ok()
    );
    assert!(decode(&flag, text("true")).is_err() && decode(&flag, number("1")).is_err());
    let flag = column("x", ColumnType::Boolean, Encoding::ZeroOne);
    assert!(decode(&flag, number("1")).is_ok() && decode(&flag, Scalar::Integer(0)).is_ok());
    assert!(decode(&flag, number("2")).is_err() && decode(&flag, Scalar::Boolean(true)).is_err());
    let real = column("x", ColumnType::Double, Encoding::Natural);
    assert!(decode(&real, number("1.5")).is_ok() && decode(&real, Scalar::Integer(1)).is_ok());
    assert_eq!(
        decode(&real, number("1e999")).unwrap_err(),
        "expected a number in the range of a 64-bit floating point number, found 1e999"
    );
    assert!(decode(&real, Scalar::Real(f64::NAN)).is_err() && decode(&real, text("1.5")).is_err());
    let name = column("x", ColumnType::String, Encoding::Natural);
    let ColumnData::Text(data) = decode(&name, number("18446744073709551616")).unwrap() else {
        panic!()
    };
    assert_eq!(data.get(0), Some(b"18446744073709551616".as_slice()));
    assert!(decode(&name, number("1.5")).is_err() && decode(&name, Scalar::Boolean(true)).is_err());
}

#[test]
fn a_missing_value_is_the_default_or_null() {
    for (ty, encoding, default) in [
        (ColumnType::String, Encoding::Natural, "web"),
        (ColumnType::Int, Encoding::Natural, "0"),
        (ColumnType::Long, Encoding::Natural, "-1"),
        (ColumnType::Double, Encoding::Natural, "0.5"),
        (ColumnType::Boolean, Encoding::ZeroOne, "false"),
        (ColumnType::Date, Encoding::Natural, "2026-01-31"),
        (
            ColumnType::Timestamp,
            Encoding::EpochMillis,
            "2026-01-31T00:00:00Z",
        ),
        (MONEY, Encoding::MinorUnits(2), "0.00"),
        (ColumnType::StringList, Encoding::Natural, "[\"a\",\"b\"]"),
    ] {
        let mut column = column("x", ty, encoding);
        let mut data = ColumnData::new(&column.ty);
        Decoder::new(&column).unwrap().push_missing(&mut data);
        assert!(default_of(&column).unwrap().is_none());
        column.default = Some(default.to_owned());
        let found = default_of(&column).unwrap().unwrap();
        assert_eq!(
            (data.validity().get(0), found.len(), found.validity().get(0)),
            (false, 1, true),
            "{default}"
        );
        if column.ty != ColumnType::String {
            column.default = Some("?".to_owned());
            assert_eq!(
                Decoder::new(&column).unwrap_err().kind(),
                ErrorKind::BadContract
            );
        }
    }
    assert!(Decoder::new(&column("x", ColumnType::Date, Encoding::MinorUnits(2))).is_err());
}

proptest! {
    #[test]
    fn real_money_is_the_decimal_that_was_written(cents in -9_999_999_999i64..10_000_000_000) {
        let real: f64 = format!("{}.{:02}", cents / 100, cents.abs() % 100).parse().unwrap();
        let real = if cents < 0 && cents > -100 { -real } else { real };
        prop_assert_eq!(long(MONEY, Encoding::Real, Scalar::Real(real)), Ok(cents));
    }

    #[test]
    fn any_real_is_rounded_as_its_shortest_text(real in any::<f64>(), scale in 0u8..7) {
        let text = format!("{real:e}");
        prop_assume!(real.is_finite());
        prop_assert_eq!(rounded_real(real, scale), Number::parse(text.as_bytes()).unwrap().rounded(scale));
        let small = real % 1e6;
        let text = format!("{small:e}");
        prop_assert_eq!(rounded_real(small, scale), Number::parse(text.as_bytes()).unwrap().rounded(scale));
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>(), real in any::<f64>(), whole in any::<i64>()) {
        for ty in [ColumnType::String, ColumnType::Int, ColumnType::Long, ColumnType::Double, ColumnType::Boolean, ColumnType::Date, ColumnType::Timestamp, MONEY, ColumnType::StringList] {
            for encoding in [Encoding::Natural, Encoding::MinorUnits(6), Encoding::Real, Encoding::EpochSeconds, Encoding::EpochMillis, Encoding::ZeroOne] {
                let column = column("id", ty.clone(), encoding);
                if let Ok(decoder) = Decoder::new(&column) {
                    let mut data = ColumnData::new(&ty);
                    for value in [Scalar::Text(text.as_bytes()), Scalar::Real(real), Scalar::Integer(whole), Scalar::Boolean(true)] {
                        let before = data.len();
                        let taken = decoder.push(value, &mut data).is_ok();
                        prop_assert_eq!(data.len(), before + usize::from(taken));
                    }
                }
            }
        }
    }
}
