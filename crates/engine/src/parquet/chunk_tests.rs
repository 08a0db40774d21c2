#![allow(clippy::unwrap_used)]
use super::*;
use crate::columns::from_frame;
use crate::parquet::{PartitionedWriter, WriterOptions};
use crate::scan;
use polars_parquet::write::to_parquet_schema;
use proptest::prelude::*;
use tarn_core::schema::{Field, TableField};
use tarn_rows::column::Rows;
use tarn_rows::display;

const TYPES: [(ColumnType, bool); 11] = [
    (ColumnType::String, false),
    (ColumnType::String, true),
    (ColumnType::Int, false),
    (ColumnType::Long, true),
    (ColumnType::Double, false),
    (ColumnType::Boolean, false),
    (ColumnType::Date, false),
    (ColumnType::Timestamp, false),
    (
        ColumnType::Decimal {
            precision: 9,
            scale: 2,
        },
        false,
    ),
    (
        ColumnType::Decimal {
            precision: 18,
            scale: 4,
        },
        false,
    ),
    (ColumnType::StringList, false),
];

fn field(number: usize, ty: ColumnType, required: bool) -> TableField {
    TableField {
        field: Field {
            name: format!("c{number}"),
            ty: ty.clone(),
            required,
            doc: String::new(),
        },
        id: number as i32 + 1,
        element_id: (ty == ColumnType::StringList).then_some(100 + number as i32),
    }
}

/// How the values of a column follow each other.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Constant,
    Few,
    Distinct,
    Ascending,
    Prefixed,
    Nulls,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Constant,
        Kind::Few,
        Kind::Distinct,
        Kind::Ascending,
        Kind::Prefixed,
        Kind::Nulls,
    ])
}

/// The whole number that a row's value is made from, the same in every run.
fn number(kind: Kind, row: u64) -> i64 {
    // The output function of SplitMix64.
    let mixed = (row ^ (row >> 30)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 31;
    match kind {
        Kind::Constant | Kind::Nulls => 7,
        Kind::Few => (mixed % 11) as i64 - 5,
        Kind::Ascending => row as i64 * 3,
        Kind::Distinct | Kind::Prefixed => (mixed % 900_000_000) as i64,
    }
}

fn text(kind: Kind, row: u64) -> String {
    match kind {
        Kind::Prefixed => format!(
            "https://shop.example.com/products/é/{}",
            number(kind, row) % 4000
        ),
        // A text that is the beginning of its neighbour, and an empty one.
        Kind::Ascending => "né".repeat((row % 5) as usize),
        _ => number(kind, row).to_string(),
    }
}

fn push(data: &mut ColumnData, kind: Kind, required: bool, row: u64) {
    let sparse = !matches!(kind, Kind::Ascending) && row % 7 == 3;
    if !required && (matches!(kind, Kind::Nulls) || sparse) {
        data.push_null();
        return;
    }
    let value = number(kind, row);
    match data {
        ColumnData::Text(data) => data.push(text(kind, row).as_bytes()),
        ColumnData::Int(data) => data.push((value % 2_000_000) as i32),
        ColumnData::Long(data) => data.push(value),
        ColumnData::Double(data) => data.push(match kind {
            Kind::Few if value == 0 => -0.0,
            _ => value as f64 / 8.0,
        }),
        ColumnData::Boolean(data) => data.push(value % 2 == 0),
        ColumnData::List(data) => {
            (0..row % 4).for_each(|item| data.push_item(text(kind, row + item).as_bytes()));
            data.finish_row();
        }
    }
}

fn shape_of(field: &TableField) -> Shape {
    let fields = std::slice::from_ref(field);
    let schema = to_parquet_schema(&crate::columns::to_arrow::schema(fields)).unwrap();
    let mut shapes = Shape::all(fields, &schema).unwrap();
    shapes.pop().unwrap()
}

/// The encodings of the pages of a column of one kind, with this many rows each.
fn encodings(ty: ColumnType, kind: Kind, pages: &[u64]) -> Vec<Encoding> {
    let field = field(0, ty.clone(), true);
    let shape = shape_of(&field);
    let mut compressor = PageCompressor::new().unwrap();
    let mut chunk = ColumnChunk::new(&shape);
    let mut row = 0;
    for rows in pages {
        let mut data = ColumnData::new(&ty);
        for row in row..row + rows {
            push(&mut data, kind, true, row);
        }
        row += rows;
        chunk.add(data, &shape, &mut compressor).unwrap();
    }
    chunk
        .pages
        .iter()
        .map(|page| page.header.encoding.try_into().unwrap())
        .collect()
}

#[test]
fn the_encoding_of_a_page_follows_its_values() {
    use Encoding::{Plain, RleDictionary};
    let money = ColumnType::Decimal {
        precision: 18,
        scale: 4,
    };
    for (ty, kind, expected) in [
        (ColumnType::String, Kind::Few, RleDictionary),
        (ColumnType::String, Kind::Constant, RleDictionary),
        (ColumnType::String, Kind::Distinct, Plain),
        (ColumnType::Long, Kind::Ascending, Plain),
        (ColumnType::Long, Kind::Few, RleDictionary),
        (ColumnType::Long, Kind::Constant, RleDictionary),
        (ColumnType::Long, Kind::Distinct, Plain),
        (ColumnType::Date, Kind::Few, RleDictionary),
        (money, Kind::Distinct, Plain),
        (ColumnType::Double, Kind::Few, RleDictionary),
        (ColumnType::Double, Kind::Distinct, Plain),
        (ColumnType::Timestamp, Kind::Constant, RleDictionary),
        (ColumnType::Timestamp, Kind::Distinct, Plain),
        (ColumnType::Timestamp, Kind::Ascending, Plain),
        (ColumnType::Boolean, Kind::Few, Plain),
        (ColumnType::StringList, Kind::Few, RleDictionary),
        (ColumnType::StringList, Kind::Distinct, Plain),
    ] {
        assert_eq!(
            encodings(ty.clone(), kind, &[5000]),
            [expected],
            "{ty} {kind:?}"
        );
    }
    // Long texts from a stock of 4,000: most are new in the first page, and few in the others.
    assert_eq!(
        encodings(ColumnType::String, Kind::Prefixed, &[2000, 5000]),
        [RleDictionary; 2]
    );
}

#[test]
fn long_texts_make_several_pages() {
    let long = |row: usize| format!("{row}{}", "x".repeat(5000)).into_bytes();
    for list in [false, true] {
        let ty = if list {
            ColumnType::StringList
        } else {
            ColumnType::String
        };
        let (shape, mut compressor) = (
            shape_of(&field(0, ty.clone(), false)),
            PageCompressor::new().unwrap(),
        );
        let mut data = ColumnData::new(&ty);
        for row in 0..1000 {
            match &mut data {
                _ if row % 10 == 3 => data.push_null(),
                ColumnData::Text(data) => data.push(&long(row)),
                ColumnData::List(data) => {
                    data.push_item(&long(row));
                    data.finish_row();
                }
                _ => unreachable!(),
            }
        }
        let mut chunk = ColumnChunk::new(&shape);
        chunk.add(data, &shape, &mut compressor).unwrap();
        assert_eq!(chunk.pages.len(), 5);
        assert!(
            chunk
                .pages
                .iter()
                .all(|page| page.bytes < PAGE_BYTES + 8192)
        );
        assert_eq!(
            chunk.pages.iter().map(|page| page.rows).sum::<usize>(),
            1000
        );
    }
}

/// The values of a column as they are stored, in an order that is theirs.
fn ordered(data: &ColumnData) -> Vec<Vec<u8>> {
    let big = |value: i64| (value as u64 ^ 1 << 63).to_be_bytes().to_vec();
    match data {
        ColumnData::Text(texts) => (0..texts.len())
            .filter_map(|row| texts.get(row).map(<[u8]>::to_vec))
            .collect(),
        ColumnData::List(list) => ordered(&ColumnData::Text(list.items.clone())),
        ColumnData::Boolean(data) => present(&data.values, &data.validity)
            .map(|value| vec![u8::from(value)])
            .collect(),
        ColumnData::Double(data) => present(&data.values, &data.validity).map(float).collect(),
        ColumnData::Int(data) => present(&data.values, &data.validity)
            .map(|value| big(value.into()))
            .collect(),
        ColumnData::Long(data) => present(&data.values, &data.validity).map(big).collect(),
    }
}

fn float(value: f64) -> Vec<u8> {
    let bits = (value + 0.0).to_bits();
    let bits = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    bits.to_be_bytes().to_vec()
}

/// The same for a bound.
fn bound(bytes: &[u8], shape: &Shape) -> Vec<u8> {
    let big = |value: i64| (value as u64 ^ 1 << 63).to_be_bytes().to_vec();
    match shape.leaf.physical_type {
        PhysicalType::Int32 => big(i32::from_le_bytes(bytes.try_into().unwrap()).into()),
        PhysicalType::Int64 => big(i64::from_le_bytes(bytes.try_into().unwrap())),
        PhysicalType::Double => float(f64::from_le_bytes(bytes.try_into().unwrap())),
        _ => bytes.to_vec(),
    }
}

#[test]
fn a_bound_is_cut_between_characters_and_raised_where_it_is_an_upper_one() {
    let texts = |texts: &[String]| {
        let found = bounds::of_texts(Bounds::of(texts.iter().map(String::as_bytes)), false, 0);
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
        (text(found.min_value), text(found.max_value))
    };
    for (text, least, greatest) in [
        ("é".repeat(32), "é".repeat(32), "é".repeat(32)),
        (
            "é".repeat(33),
            "é".repeat(32),
            format!("{}ê", "é".repeat(31)),
        ),
        (
            format!("a{}", "é".repeat(33)),
            format!("a{}", "é".repeat(31)),
            format!("a{}ê", "é".repeat(30)),
        ),
        // The last character of all, and the one before those that stand for no character.
        (
            "\u{10ffff}".repeat(20),
            "\u{10ffff}".repeat(16),
            "\u{10ffff}".repeat(20),
        ),
        (
            format!("a{}", "\u{10ffff}".repeat(20)),
            format!("a{}", "\u{10ffff}".repeat(15)),
            "b".to_owned(),
        ),
        (
            "\u{d7ff}".repeat(22),
            "\u{d7ff}".repeat(21),
            format!("{}\u{e000}", "\u{d7ff}".repeat(20)),
        ),
    ] {
        assert_eq!(
            texts(std::slice::from_ref(&text)),
            (least, greatest),
            "{text}"
        );
    }
    // Whole where which files hold rows of an object is answered from them.
    let long = "x".repeat(100);
    let found = bounds::of_texts(Bounds::of([long.as_bytes()].into_iter()), true, 0);
    assert_eq!(found.max_value.as_deref(), Some(long.as_bytes()));
}

#[test]
fn bounds_of_fractions_leave_out_what_has_no_order() {
    let of = |values: &[f64]| {
        let found = bounds::of_numbers(Bounds::of(values.iter().copied()), !values.is_empty(), 0);
        let bits = |bytes: Option<Vec<u8>>| {
            bytes.map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()).to_bits())
        };
        (bits(found.min_value), bits(found.max_value))
    };
    let (nan, infinite) = (f64::NAN, f64::INFINITY);
    for (values, bounds) in [
        (&[1.5, nan, -2.0][..], Some((-2.0, 1.5))),
        (&[nan, 3.0], Some((3.0, 3.0))),
        // Either zero stands for both.
        (&[0.0], Some((-0.0, 0.0))),
        (&[-0.0, nan], Some((-0.0, 0.0))),
        (&[infinite, -infinite], Some((-infinite, infinite))),
        (&[nan, nan], Some((-infinite, infinite))),
        (&[], None),
    ] {
        let bounds =
            bounds.map(|(least, greatest): (f64, f64)| (least.to_bits(), greatest.to_bits()));
        assert_eq!(of(values), bounds.unzip(), "{values:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Readers leave out pages by the bounds in their headers, which the file's index repeats.
    #[test]
    fn every_page_says_the_bounds_of_its_own_values(
        place in 0..TYPES.len(),
        kinds in prop::collection::vec(kinds(), 1..6),
        rows in 1u64..1500,
    ) {
        let (ty, required) = &TYPES[place];
        let (shape, mut compressor) = (shape_of(&field(0, ty.clone(), *required)), PageCompressor::new().unwrap());
        let mut chunk = ColumnChunk::new(&shape);
        let mut expected = Vec::new();
        for (number, kind) in kinds.into_iter().enumerate() {
            let mut data = ColumnData::new(ty);
            for row in 0..rows {
                push(&mut data, kind, *required, number as u64 * rows + row);
            }
            expected.push((ordered(&data), data.len()));
            chunk.add(data, &shape, &mut compressor).unwrap();
        }
        prop_assert_eq!(chunk.pages.len(), expected.len());
        for (page, (values, rows)) in chunk.pages.iter().zip(expected) {
            prop_assert_eq!(page.rows, rows);
            let found = page.header.statistics.as_ref().unwrap();
            let entries = page.header.num_values as i64;
            prop_assert_eq!(found.null_count, Some(entries - values.len() as i64));
            let limits = found.min_value.as_ref().zip(found.max_value.as_ref());
            let limits = limits.map(|(least, greatest)| (bound(least, &shape), bound(greatest, &shape)));
            // None of them is long enough to be cut.
            let known = values.iter().min().cloned().zip(values.iter().max().cloned());
            prop_assert_eq!(limits, known);
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        kinds in prop::collection::vec(kinds(), TYPES.len()),
        batches in prop::collection::vec(1u64..2500, 1..6),
        group_rows in 500usize..6000,
    ) {
        let fields: Vec<TableField> = TYPES.iter().enumerate()
            .map(|(number, (ty, required))| field(number, ty.clone(), *required))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let options = WriterOptions { page_rows: 64, collected_rows: 500, group_rows, ..WriterOptions::default() };
        let mut writer = PartitionedWriter::new(folder.path(), "t", fields.clone(), None, options).unwrap();
        let mut expected: Vec<ColumnData> = fields.iter().map(|field| ColumnData::new(&field.field.ty)).collect();
        let mut row = 0;
        for rows in batches {
            let mut columns: Vec<ColumnData> = fields.iter().map(|field| ColumnData::new(&field.field.ty)).collect();
            for row in row..row + rows {
                for ((data, field), kind) in columns.iter_mut().zip(&fields).zip(&kinds) {
                    push(data, *kind, field.field.required, row);
                }
            }
            row += rows;
            for (all, data) in expected.iter_mut().zip(&columns) {
                all.append(data, &Rows::Run(0..rows as usize));
            }
            writer.write(columns, rows as usize).unwrap();
        }
        let files = writer.finish().unwrap();
        prop_assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), row);
        let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        let frame = scan::table(&fields, &paths).unwrap().collect().unwrap();
        let read = from_frame::columns(&frame, &fields).unwrap();
        for ((field, read), expected) in fields.iter().zip(&read).zip(&expected) {
            prop_assert_eq!(read.len() as u64, row);
            for row in 0..row as usize {
                let ty = &field.field.ty;
                prop_assert_eq!(read.validity().get(row), expected.validity().get(row), "{} {}", ty, row);
                prop_assert_eq!(display::value(read, row, ty), display::value(expected, row, ty), "{} {}", ty, row);
            }
        }
    }
}
