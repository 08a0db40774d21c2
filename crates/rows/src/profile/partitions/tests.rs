#![allow(clippy::unwrap_used)]

use tarn_contract::parse_str;
use tarn_core::profile::Measures;

use super::*;
use crate::batch::Batch;
use crate::column::TextColumn;
use crate::profile::Profiler;

fn contract(unit: &str) -> Contract {
    let yaml = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: x\nname: x\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Rows. }}\n\
         customProperties:\n  - {{ property: sourceFormat, value: jsonLines }}\n  - {{ property: keyPattern, value: raw/a/x/** }}\n\
         schema:\n  - name: x\n    logicalType: object\n    physicalType: table\n    properties:\n\
         \x20     - {{ name: at, logicalType: timestamp, physicalType: timestamptz, partitioned: true, customProperties: [{{ property: partitionUnit, value: {unit} }}] }}\n\
         \x20     - {{ name: t, logicalType: string, physicalType: string }}\n"
    );
    match parse_str("x", &yaml) {
        Ok(contract) => contract,
        Err(faults) => panic!("{}", faults[0]),
    }
}

/// Rows as days and texts.
fn batch(rows: &[(Option<i64>, Option<&str>)], interned: bool) -> Batch {
    let (mut at, mut text) = (Plain::new(), TextColumn::new(interned));
    for (day, value) in rows {
        match day {
            Some(day) => at.push(day * MICROS_PER_DAY + 5),
            None => at.push_null(),
        }
        match value {
            Some(value) => text.push(value.as_bytes()),
            None => text.push_null(),
        }
    }
    Batch {
        columns: vec![ColumnData::Long(at), ColumnData::Text(text)],
        offsets: vec![0; rows.len()],
        ..Batch::default()
    }
}

fn found(contract: &Contract, batches: &[Batch]) -> PartitionProfiles {
    let measures = vec![Measures::default(); 2];
    let mut profiler = Profiler::new(contract, measures, &std::env::temp_dir());
    batches
        .iter()
        .for_each(|batch| profiler.add(batch).unwrap());
    let profiled = profiler.finish().unwrap();
    let found = profiled.partitions().unwrap();
    // Every row and every missing value is in one of them.
    for column in profiled.columns() {
        let sum = |of: &dyn Fn(&MissingCounts) -> u64| -> u64 {
            found
                .partitions
                .iter()
                .flat_map(|part| &part.missing)
                .filter(|one| one.column == column.column)
                .map(of)
                .sum()
        };
        assert_eq!(
            (
                sum(&|one| one.nulls),
                sum(&|one| one.blanks),
                sum(&|one| one.sentinels)
            ),
            (column.nulls, column.blanks, column.sentinels)
        );
        let rows: u64 = found.partitions.iter().map(|part| part.rows).sum();
        assert_eq!(rows, column.rows);
    }
    found
}

fn shown(found: &PartitionProfiles) -> Vec<(String, u64, [u64; 3])> {
    found
        .partitions
        .iter()
        .map(|part| {
            let text = part.missing.iter().find(|one| one.column == "t");
            let counts = text.map_or([0; 3], |one| [one.nulls, one.blanks, one.sentinels]);
            (part.partition.clone(), part.rows, counts)
        })
        .collect()
}

#[test]
fn missing_values_are_counted_where_their_rows_belong() {
    for interned in [true, false] {
        let batches = [
            batch(&[(Some(0), Some("a")), (Some(0), None)], interned),
            batch(
                &[
                    (Some(1), Some("N/A")),
                    (Some(-1), Some(" ")),
                    (None, None),
                    (Some(1), Some("b")),
                ],
                interned,
            ),
        ];
        assert_eq!(
            shown(&found(&contract("day"), &batches)),
            [
                ("1969-12-31".to_owned(), 1, [0, 1, 0]),
                ("1970-01-01".to_owned(), 2, [1, 0, 0]),
                ("1970-01-02".to_owned(), 2, [0, 0, 1]),
                ("null".to_owned(), 1, [1, 0, 0]),
            ]
        );
        assert_eq!(
            shown(&found(&contract("month"), &batches)),
            [
                ("1969-12".to_owned(), 1, [0, 1, 0]),
                ("1970-01".to_owned(), 4, [1, 0, 1]),
                ("null".to_owned(), 1, [1, 0, 0]),
            ]
        );
    }
}

#[test]
fn of_many_partitions_those_with_the_most_rows_are_listed_and_the_others_summed_up() {
    let rows: Vec<(Option<i64>, Option<&str>)> = (0..2000)
        .map(|day| (Some(day), None))
        // The last days have more rows than the others, but come too late to be counted separately.
        .chain((0..40).flat_map(|day| [(Some(day), Some("a")); 3]))
        .chain([(Some(1999), Some("a")); 9])
        .collect();
    let found = found(&contract("day"), &[batch(&rows, true)]);
    assert_eq!(found.partitions.len(), MOST_PARTITIONS + 1);
    assert_eq!(found.partitions[0].partition, "1970-01-09");
    assert_eq!(found.partitions[0].rows, 4);
    let other = found.partitions.last().unwrap();
    assert_eq!(
        (other.partition.as_str(), other.rows),
        ("other", 2000 + 120 + 9 - 32 * 4)
    );
    assert!(found.left_out >= 1024 - 32);
}
