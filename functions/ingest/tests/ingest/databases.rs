//! Snapshots of random databases against a model of a few dozen lines: every table is the model's after
//! every snapshot, whatever is rejected, deleted, repeated, late or killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use tarn_contract::{Contracts, load_texts};
use tarn_core::run::{ObjectState, RunKind, RunRecord, RunStatus, SkipReason};
use tarn_ingest::{Options, ingest, read_again};
use tarn_lake::Lake;

use crate::doubles::{Gate, gated};
use crate::lake::{Fixture, query};

/// How the primary key of the parents is stored and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Key {
    /// INTEGER PRIMARY KEY.
    Rowid,
    /// Numbers in a table that keeps nothing unique.
    Number,
    /// Dates, which are also written as midnights.
    Day,
    /// Instants, which are written in several zones.
    Instant,
    /// Decimals with more or fewer zeros.
    Decimal,
    /// Two texts, one of which may hold a NUL byte.
    Pair,
    /// A text of a person.
    Personal,
}

impl Key {
    const ALL: [Key; 7] = [
        Key::Rowid,
        Key::Number,
        Key::Day,
        Key::Instant,
        Key::Decimal,
        Key::Pair,
        Key::Personal,
    ];

    /// SQL of the columns and whether the database keeps them apart.
    fn declared(self) -> &'static str {
        match self {
            Key::Rowid => "k INTEGER PRIMARY KEY",
            Key::Number => "k INTEGER",
            Key::Pair => "k TEXT, l TEXT",
            _ => "k TEXT",
        }
    }

    /// SQL of the values of a key; the spellings are equal once they are typed. A key that cannot be read
    /// has the spelling 3.
    fn stored(self, key: u8, spelling: u8) -> String {
        if spelling == 3 {
            return match self {
                Key::Rowid => unreachable!("a rowid can always be read"),
                Key::Pair => "NULL, 'x'".to_owned(),
                Key::Personal => "NULL".to_owned(),
                _ => "'none'".to_owned(),
            };
        }
        let spelled = |spellings: [String; 3]| spellings[usize::from(spelling)].clone();
        match self {
            Key::Rowid => key.to_string(),
            Key::Number => spelled([key.to_string(), format!("{key}.0"), format!("'{key}'")]),
            Key::Day => spelled([
                format!("'2026-01-{:02}'", key + 1),
                format!("'2026-01-{:02} 00:00:00'", key + 1),
                format!("'2026-01-{:02}T00:00:00'", key + 1),
            ]),
            Key::Instant => spelled([
                format!("'2026-01-05 {key:02}:30:00'"),
                format!("'2026-01-05T{:02}:30:00+01:00'", key + 1),
                format!("'2026-01-05T{key:02}:30:00.000Z'"),
            ]),
            Key::Decimal => spelled([
                format!("'{key}'"),
                format!("'{key}.0'"),
                format!("'{key}.00'"),
            ]),
            // Written one after the other with a zero byte between them, keys 0 and 1 would be the same.
            Key::Pair => match key {
                0 => "'a' || char(0) || 'b', 'c'".to_owned(),
                1 => "'a', 'b' || char(0) || 'c'".to_owned(),
                _ => format!("'a', 'p{key}'"),
            },
            Key::Personal => format!("'person-{key}@example.com'"),
        }
    }

    fn columns(self) -> String {
        let column = |name: &str, position: u8, types: &str, custom: &str| {
            format!(
                "      - {{ name: {name}, {types}, required: true, primaryKey: true, primaryKeyPosition: {position}{custom} }}\n"
            )
        };
        let one = |types: &str| column("k", 1, types, "");
        match self {
            Key::Rowid | Key::Number => one("logicalType: integer, physicalType: bigint"),
            Key::Day => one("logicalType: date, physicalType: date"),
            Key::Instant => one("logicalType: timestamp, physicalType: timestamptz"),
            Key::Decimal => one("logicalType: number, physicalType: \"decimal(9,2)\""),
            Key::Pair => {
                let text = "logicalType: string, physicalType: string";
                column("k", 1, text, "") + &column("l", 2, text, "")
            }
            Key::Personal => column(
                "k",
                1,
                "logicalType: string, physicalType: string",
                ", customProperties: [{ property: protection, value: pseudonymise }]",
            ),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Deleted {
    Keep,
    Soft,
    Remove,
}

impl Deleted {
    fn word(self) -> &'static str {
        match self {
            Deleted::Keep => "keep",
            Deleted::Soft => "soft",
            Deleted::Remove => "remove",
        }
    }
}

/// What a row of the source holds besides its key.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    Good(u8),
    /// Breaks a rule.
    Negative,
    /// Has another type.
    Text,
}

/// A row of the parents: which key, how it is written, and its amount.
type Parent = (u8, u8, Amount);
/// A row of the children: its key, the parent that it refers to, and its amount.
type Child = (u8, u8, Amount);

#[derive(Debug, Clone)]
struct Snapshot {
    parents: Vec<Parent>,
    children: Vec<Child>,
    /// The source has a column that no contract knows.
    drifts: bool,
}

#[derive(Debug, Clone)]
struct Case {
    key: Key,
    deleted: Deleted,
    drift: &'static str,
    /// By day.
    snapshots: Vec<Snapshot>,
    /// Which day arrives when, and the moment at which its first run is killed.
    deliveries: Vec<(usize, Option<u64>)>,
    confirm: bool,
}

fn contracts(case: &Case) -> Contracts {
    let contract = |name: &str, columns: &str, deleted: Deleted| {
        format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nname: {name}\nversion: 1.0.0\nstatus: active\n\
             description: {{ purpose: Rows. }}\ncustomProperties:\n  - {{ property: sourceFormat, value: sqlite }}\n  \
             - {{ property: keyPattern, value: \"raw/shop/database/**\" }}\n  \
             - {{ property: deletedRows, value: {} }}\n  - {{ property: schemaDrift, value: {} }}\n\
             schema:\n  - name: {name}\n    properties:\n{columns}",
            deleted.word(),
            case.drift
        )
    };
    let amount = "      - { name: amount, logicalType: integer, physicalType: bigint, required: true, logicalTypeOptions: { minimum: 0 } }\n";
    let tag = |name: &str, more: &str| {
        format!(
            "      - {{ name: {name}, logicalType: integer, physicalType: bigint, required: true{more} }}\n"
        )
    };
    let parents = case.key.columns() + &tag("tag", "") + amount;
    let reference = ", quality: [{ type: custom, engine: tarn, implementation: { kind: reference, to: parents.tag }, mustBe: 0, severity: error }]";
    let children =
        tag("id", ", primaryKey: true, primaryKeyPosition: 1") + &tag("parent", reference) + amount;
    load_texts(&[
        (
            "parents.odcs.yaml",
            &contract("parents", &parents, case.deleted),
        ),
        (
            "children.odcs.yaml",
            &contract("children", &children, Deleted::Remove),
        ),
    ])
    .unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn write(path: &Path, case: &Case, snapshot: &Snapshot) {
    let amount = |amount: Amount| match amount {
        Amount::Good(value) => value.to_string(),
        Amount::Negative => "-1".to_owned(),
        Amount::Text => "'many'".to_owned(),
    };
    let extra = |sql: &str| {
        if snapshot.drifts {
            sql.to_owned()
        } else {
            String::new()
        }
    };
    let mut sql = format!(
        "CREATE TABLE parents({}, tag INTEGER, amount INTEGER{});\
         CREATE TABLE children(id INTEGER, parent INTEGER, amount INTEGER{});",
        case.key.declared(),
        extra(", news INTEGER"),
        extra(", news INTEGER"),
    );
    for &(key, spelling, value) in &snapshot.parents {
        sql += &format!(
            "INSERT INTO parents VALUES ({}, {key}, {}{});",
            case.key.stored(key, spelling),
            amount(value),
            extra(", 1")
        );
    }
    for &(key, parent, value) in &snapshot.children {
        sql += &format!(
            "INSERT INTO children VALUES ({key}, {parent}, {}{});",
            amount(value),
            extra(", 1")
        );
    }
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute_batch(&sql).unwrap();
}

/// A table: by the number of its key the other values, and whether the row is marked as deleted.
type Rows = BTreeMap<u8, (Vec<u8>, bool)>;

/// A row of a source: its key where it can be read, and its values where it breaks no rule.
type Row = (Option<u8>, Option<Vec<u8>>);

#[derive(Debug, Clone, Default)]
struct Model {
    parents: Rows,
    children: Rows,
    newest: Option<usize>,
}

/// The counts that a run should record for a dataset: accepted, rejected, held, deleted.
type Counts = [u64; 4];

/// The table after a snapshot with these rows, in their order.
fn upsert(table: &Rows, rows: &[Row], deleted: Deleted) -> (Rows, Counts) {
    let mut accepted: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut rejected: Vec<Option<u8>> = Vec::new();
    for (key, values) in rows {
        match (key, values) {
            (Some(key), Some(values)) if !accepted.contains_key(key) => {
                accepted.insert(*key, values.clone());
            }
            _ => rejected.push(*key),
        }
    }
    let mut after = table.clone();
    let living = |key: &u8| table.get(key).is_some_and(|(_, gone)| !gone);
    let held =
        |key: &u8| living(key) && !accepted.contains_key(key) && rejected.contains(&Some(*key));
    let held_rows = table.keys().filter(|key| held(key)).count() as u64;
    let mut lost = 0;
    if deleted != Deleted::Keep && !rejected.contains(&None) {
        for key in table.keys() {
            if living(key) && !accepted.contains_key(key) && !held(key) {
                lost += 1;
                match deleted {
                    Deleted::Remove => drop(after.remove(key)),
                    _ => after.get_mut(key).unwrap().1 = true,
                }
            }
        }
    }
    let counts = [
        accepted.len() as u64,
        rejected.len() as u64,
        held_rows,
        lost,
    ];
    after.extend(
        accepted
            .into_iter()
            .map(|(key, values)| (key, (values, false))),
    );
    (after, counts)
}

impl Model {
    /// None where the snapshot is older than the newest; an error where it deletes too much.
    fn apply(
        &mut self,
        case: &Case,
        day: usize,
        confirmed: bool,
    ) -> Option<Result<[Counts; 2], ()>> {
        if self.newest.is_some_and(|newest| newest > day) {
            return None;
        }
        let snapshot = &case.snapshots[day];
        let drifted = snapshot.drifts && case.drift == "quarantine";
        let good = |amount: Amount| match amount {
            Amount::Good(value) if !drifted => Some(value),
            _ => None,
        };
        let parents: Vec<Row> = snapshot
            .parents
            .iter()
            .map(|&(key, spelling, amount)| {
                let readable = spelling != 3;
                let values = good(amount).filter(|_| readable).map(|value| vec![value]);
                (readable.then_some(key), values)
            })
            .collect();
        let (next_parents, of_parents) = upsert(&self.parents, &parents, case.deleted);
        let known: BTreeSet<u8> = next_parents.keys().copied().collect();
        let children: Vec<Row> = snapshot
            .children
            .iter()
            .map(|&(key, parent, amount)| {
                let values = good(amount).filter(|_| known.contains(&parent));
                (Some(key), values.map(|value| vec![parent, value]))
            })
            .collect();
        let (next_children, of_children) = upsert(&self.children, &children, Deleted::Remove);
        for (table, [_, _, _, lost]) in [(&self.parents, of_parents), (&self.children, of_children)]
        {
            let living = table.values().filter(|(_, gone)| !gone).count() as u64;
            if living >= 10 && lost * 2 > living && !confirmed {
                return Some(Err(()));
            }
        }
        (self.parents, self.children) = (next_parents, next_children);
        self.newest = Some(day);
        Some(Ok([of_parents, of_children]))
    }
}

async fn table(lake: &Lake, sql: &str) -> Vec<String> {
    let mut rows = query(lake, sql).await;
    rows.sort();
    rows
}

/// The tables as the model has them.
async fn check_tables(lake: &Lake, case: &Case, model: &Model) {
    let gone = match case.deleted {
        Deleted::Soft => "_deleted_at IS NOT NULL",
        _ => "FALSE",
    };
    let found = table(
        lake,
        &format!("SELECT tag, amount, {gone} AS gone FROM parents"),
    )
    .await;
    let mut expected: Vec<String> = model
        .parents
        .iter()
        .map(|(key, (values, gone))| {
            format!(r#"{{"tag":{key},"amount":{},"gone":{gone}}}"#, values[0])
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected, "parents");
    let found = table(lake, "SELECT id, parent, amount FROM children").await;
    let mut expected: Vec<String> = model
        .children
        .iter()
        .map(|(key, (values, _))| {
            format!(
                r#"{{"id":{key},"parent":{},"amount":{}}}"#,
                values[0], values[1]
            )
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected, "children");
}

fn check_counts(record: &RunRecord, expected: [Counts; 2], whole: bool) {
    for (dataset, expected) in ["parents", "children"].into_iter().zip(expected) {
        let outcome = record
            .datasets
            .iter()
            .find(|outcome| outcome.dataset == dataset)
            .unwrap();
        assert_eq!(outcome.accepted + outcome.rejected, outcome.received);
        let counts = [
            outcome.accepted,
            outcome.rejected,
            outcome.held,
            outcome.deleted,
        ];
        if whole {
            assert_eq!(
                counts, expected,
                "{dataset}: accepted, rejected, held, deleted"
            );
        } else {
            // The killed run may have deleted the rows already.
            assert_eq!(
                counts[..3],
                expected[..3],
                "{dataset}: accepted, rejected, held"
            );
        }
        let reconciliation = outcome.reconciliation.as_ref().unwrap();
        assert!(reconciliation.matches, "{reconciliation:?}");
    }
}

async fn run(case: &Case) {
    let fixture = Fixture::new();
    let lake = fixture.lake.clone().with_contracts(contracts(case));
    let mut model = Model::default();
    for &(day, killed) in &case.deliveries {
        let key = format!(
            "raw/shop/database/ingest_date=2026-02-01/shop-2026-01-{:02}.sqlite",
            day + 1
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.sqlite");
        write(&path, case, &case.snapshots[day]);
        if lake.objects.head(&key).await.is_err() {
            fixture.put(&key, std::fs::read(&path).unwrap()).await;
        }
        let known = lake.ledger.object(&key).await.unwrap();
        if known.is_some_and(|known| known.state == ObjectState::Committed) {
            let record = ingest(&lake, &key).await.unwrap();
            assert_eq!(record.skipped, Some(SkipReason::AlreadyCommitted));
            check_tables(&lake, case, &model).await;
            continue;
        }
        let before = model.clone();
        let mut whole = true;
        if let Some(moment) = killed {
            let gate = Gate::stop_at(moment);
            let stopped = gated(&fixture.local, &gate).with_contracts(contracts(case));
            tokio::select! {
                record = ingest(&stopped, &key) => drop(record.unwrap()),
                () = gate.reached() => whole = false,
            }
        }
        let mut record = ingest(&lake, &key).await.unwrap();
        if record.skipped == Some(SkipReason::AlreadyCommitted) {
            record = lake
                .ledger
                .run(&lake.ledger.object(&key).await.unwrap().unwrap().run_id)
                .await
                .unwrap()
                .unwrap();
        }
        let mut expected = model.apply(case, day, false);
        if expected == Some(Err(())) {
            assert_eq!(record.status, RunStatus::Failed, "{record:?}");
            assert!(
                record
                    .reason
                    .as_ref()
                    .unwrap()
                    .contains("--confirm-deletions"),
                "{record:?}"
            );
            assert!(record.datasets.is_empty());
            check_tables(&lake, case, &before).await;
            if !case.confirm {
                continue;
            }
            let options = Options {
                kind: RunKind::Replay,
                confirm_deletions: true,
                ..Options::default()
            };
            record = read_again(&lake, &key, options).await.unwrap().remove(0);
            assert!(record.deletions_confirmed);
            expected = model.apply(case, day, true);
        }
        check_record(&record, expected, &model, whole);
        check_tables(&lake, case, &model).await;
    }
}

/// Compares the record of a run with what the model expects of it.
fn check_record(
    record: &RunRecord,
    expected: Option<Result<[Counts; 2], ()>>,
    model: &Model,
    whole: bool,
) {
    match expected {
        None => {
            assert_eq!(
                record.skipped,
                Some(SkipReason::NewerSnapshot),
                "{record:?}"
            );
            let newest = format!("shop-2026-01-{:02}.sqlite", model.newest.unwrap() + 1);
            assert!(
                record.reason.as_ref().unwrap().contains(&newest),
                "{record:?}"
            );
        }
        Some(expected) => {
            assert_eq!(record.status, RunStatus::Succeeded, "{record:?}");
            check_counts(record, expected.unwrap(), whole);
        }
    }
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![
        6 => (0u8..4).prop_map(Amount::Good),
        1 => Just(Amount::Negative),
        1 => Just(Amount::Text),
    ]
}

fn snapshots(key: Key) -> impl Strategy<Value = Snapshot> {
    let spellings = prop_oneof![20 => 0u8..3, 1 => Just(3u8)];
    let parents = proptest::collection::vec((0u8..16, spellings, amounts()), 0..18);
    let children = proptest::collection::vec((0u8..8, 0u8..16, amounts()), 0..8);
    (parents, children, proptest::bool::weighted(0.2)).prop_map(
        move |(mut parents, children, drifts)| {
            if key == Key::Rowid {
                // The database itself refuses twins.
                let mut seen = BTreeSet::new();
                parents.retain(|(number, ..)| seen.insert(*number));
                parents.iter_mut().for_each(|row| row.1 = 0);
                parents.sort_by_key(|row| row.0);
            }
            Snapshot {
                parents,
                children,
                drifts,
            }
        },
    )
}

fn cases() -> impl Strategy<Value = Case> {
    let key = proptest::sample::select(&Key::ALL[..]);
    let deleted = proptest::sample::select(&[Deleted::Keep, Deleted::Soft, Deleted::Remove][..]);
    let drift = proptest::sample::select(&["warn", "ignore", "evolve", "quarantine"][..]);
    let deliveries =
        proptest::collection::vec((0usize..5, proptest::option::weighted(0.3, 0u64..70)), 5..8);
    (key, deleted, drift, deliveries, any::<bool>()).prop_flat_map(
        |(key, deleted, drift, deliveries, confirm)| {
            proptest::collection::vec(snapshots(key), 5).prop_map(move |snapshots| Case {
                key,
                deleted,
                drift,
                snapshots,
                deliveries: deliveries.clone(),
                confirm,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_table_is_what_a_simple_model_says_after_every_snapshot(case in cases()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(run(&case));
    }
}

/// A run that is killed between the commits of two tables says which it had changed, and the next run, of the
/// same snapshot or of a newer one, changes the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_between_two_tables_says_what_it_changed_and_the_next_one_goes_on() {
    let snapshot = |value: u8| Snapshot {
        parents: vec![(1, 0, Amount::Good(value)), (2, 0, Amount::Good(value))],
        children: vec![(1, 1, Amount::Good(value))],
        drifts: false,
    };
    let case = Case {
        key: Key::Rowid,
        deleted: Deleted::Soft,
        drift: "warn",
        snapshots: (0..3).map(snapshot).collect(),
        deliveries: Vec::new(),
        confirm: false,
    };
    let key = |day: u8| {
        format!(
            "raw/shop/database/ingest_date=2026-02-01/shop-2026-01-0{}.sqlite",
            day + 1
        )
    };
    let amounts = async |lake: &Lake| {
        let mut found = Vec::new();
        for table in ["parents", "children"] {
            found.push(query(lake, &format!("SELECT MAX(amount) AS a FROM {table}")).await);
        }
        found
    };
    let both = |value: u8| vec![vec![format!(r#"{{"a":{value}}}"#)]; 2];
    let (mut halves, mut moment) = (0, 0);
    loop {
        let fixture = Fixture::new();
        let lake = fixture.lake.clone().with_contracts(contracts(&case));
        for (day, snapshot) in case.snapshots.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("shop.sqlite");
            write(&path, &case, snapshot);
            fixture
                .put(&key(day as u8), std::fs::read(&path).unwrap())
                .await;
        }
        ingest(&lake, &key(0)).await.unwrap();
        let gate = Gate::stop_at(moment);
        let stopped = gated(&fixture.local, &gate).with_contracts(contracts(&case));
        let second = key(1);
        let finished = tokio::select! {
            record = ingest(&stopped, &second) => {
                assert_eq!(record.unwrap().status, RunStatus::Succeeded);
                true
            }
            () = gate.reached() => false,
        };
        let found = amounts(&lake).await;
        assert_ne!(
            found,
            [both(0)[0].clone(), both(1)[1].clone()],
            "children come after their parents"
        );
        let object = lake.ledger.object(&key(1)).await.unwrap();
        let record = match &object {
            Some(object) => lake.ledger.run(&object.run_id).await.unwrap(),
            None => None,
        };
        let recorded = record.map_or(0, |record| record.datasets.len());
        let changed = found.iter().filter(|amount| **amount == both(1)[0]).count();
        assert!(
            recorded == changed || recorded + 1 == changed,
            "killed at {moment}: {recorded} of {changed} are recorded"
        );
        halves += usize::from(changed == 1);
        // An even moment is gone on with by the same snapshot, an odd one by a newer.
        let next = 1 + (moment % 2) as u8;
        let record = ingest(&lake, &key(next)).await.unwrap();
        assert_ne!(record.status, RunStatus::Failed, "{record:?}");
        assert_eq!(amounts(&lake).await, both(next), "killed at {moment}");
        if finished {
            break;
        }
        moment += 1;
    }
    assert!(halves >= 2, "no moment lies between the two tables");
}
