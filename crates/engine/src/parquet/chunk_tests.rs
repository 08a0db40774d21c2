#![allow(clippy::unwrap_used)]
use super::*;
use crate::column::Rows;
use crate::parquet::{PartitionedWriter, WriterOptions};
use crate::{frame, render, scan};
use proptest::prelude::*;
use tarn_core::schema::{Field, TableField};

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

/// The whole number behind a value of a row, the same in every run.
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
    let mut shapes = Shape::all(fields, &arrow::schema(fields)).unwrap();
    shapes.pop().unwrap()
}

/// The encodings of the pages of a column of one kind, of so many rows each.
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
    let encoding = |page: &Encoded| match &page.header {
        DataPageHeader::V1(header) => header.encoding.try_into().unwrap(),
        DataPageHeader::V2(header) => header.encoding.try_into().unwrap(),
    };
    chunk.pages.iter().map(encoding).collect()
}

#[test]
fn the_encoding_of_a_page_follows_its_values() {
    use Encoding::{DeltaBinaryPacked, DeltaByteArray, DeltaLengthByteArray, Plain, RleDictionary};
    let money = ColumnType::Decimal {
        precision: 18,
        scale: 4,
    };
    for (ty, kind, expected) in [
        (ColumnType::String, Kind::Few, RleDictionary),
        (ColumnType::String, Kind::Constant, RleDictionary),
        (ColumnType::String, Kind::Distinct, DeltaLengthByteArray),
        (ColumnType::Long, Kind::Ascending, DeltaBinaryPacked),
        (ColumnType::Long, Kind::Few, RleDictionary),
        (ColumnType::Long, Kind::Distinct, DeltaBinaryPacked),
        (ColumnType::Date, Kind::Few, RleDictionary),
        (money, Kind::Distinct, DeltaBinaryPacked),
        (ColumnType::Double, Kind::Few, RleDictionary),
        (ColumnType::Double, Kind::Distinct, Plain),
        (ColumnType::Timestamp, Kind::Distinct, DeltaBinaryPacked),
        (ColumnType::Boolean, Kind::Few, Plain),
        (ColumnType::StringList, Kind::Few, RleDictionary),
        (ColumnType::StringList, Kind::Distinct, DeltaLengthByteArray),
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
    let distinct: Vec<u8> = (0..3000u64)
        .flat_map(|row| {
            format!("user/profile/{}\n", row.wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()
        })
        .collect();
    let mut texts = TextColumn::new(false);
    distinct
        .split(|&byte| byte == b'\n')
        .for_each(|text| texts.push(text));
    let field = field(0, ColumnType::String, true);
    let (shape, mut compressor) = (shape_of(&field), PageCompressor::new().unwrap());
    let mut chunk = ColumnChunk::new(&shape);
    chunk
        .add(ColumnData::Text(texts), &shape, &mut compressor)
        .unwrap();
    let DataPageHeader::V1(header) = &chunk.pages[0].header else {
        panic!("not version 1");
    };
    assert_eq!(Encoding::try_from(header.encoding).unwrap(), DeltaByteArray);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
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
        let read = frame::columns(&frame, &fields).unwrap();
        for ((field, read), expected) in fields.iter().zip(&read).zip(&expected) {
            prop_assert_eq!(read.len() as u64, row);
            for row in 0..row as usize {
                let ty = &field.field.ty;
                prop_assert_eq!(read.validity().get(row), expected.validity().get(row), "{} {}", ty, row);
                prop_assert_eq!(render::value(read, row, ty), render::value(expected, row, ty), "{} {}", ty, row);
            }
        }
    }
}
