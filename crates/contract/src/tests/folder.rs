//! Several contracts together.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn a_folder_reports_the_faults_of_all_files_and_between_them() {
    let broken = changed("version: 1.0.0", "version: 1");
    let other = changed("- name: sales", "- name: returns");
    let dir = folder(&[
        ("a.odcs.yaml", GOOD),
        ("b.odcs.yaml", &broken),
        ("c.odcs.yaml", &other),
        ("d.odcs.yml", ""),
        ("e.odcs.yaml", "a: ["),
        ("notes.txt", "no contract"),
    ]);
    std::fs::write(
        dir.path().join("f.odcs.yaml"),
        b"apiVersion: v3.1.0\nid: \xff\n",
    )
    .unwrap();
    let faults = load_dir(dir.path()).unwrap_err();
    let of = |name: &str| -> Vec<&Diagnostic> {
        faults
            .iter()
            .filter(|fault| fault.file.ends_with(name))
            .collect()
    };
    assert!(of("a.odcs.yaml").is_empty());
    let b = of("b.odcs.yaml");
    assert_eq!(b.len(), 3, "{}", shown(&faults));
    assert!(b[0].message.contains("'version' must be a text") && b[0].line == 4);
    assert!(b[1].message.contains("already belong to") && b[1].line == line_of(GOOD, "keyPattern"));
    assert!(
        b[2].message
            .contains("dataset 'sales' already has a contract")
            && b[2].line == line_of(GOOD, "- name: sales")
    );
    assert!(
        b[1].help
            .contains("folder raw/<source>/<dataset>/ of its own")
            && b[2].help.contains("rename")
    );
    assert_eq!(of("c.odcs.yaml").len(), 1);
    assert!(
        of("d.odcs.yml")[0]
            .help
            .contains("rename it to <dataset>.odcs.yaml")
    );
    assert_eq!(of("e.odcs.yaml").len(), 1);
    assert_eq!(
        (
            of("f.odcs.yaml")[0].line,
            of("f.odcs.yaml")[0].message.as_str()
        ),
        (2, "this line is not UTF-8")
    );
}

#[test]
fn a_folder_that_is_missing_or_without_contracts_is_a_fault() {
    let dir = folder(&[("readme.md", "nothing here")]);
    assert!(shown(&load_dir(dir.path()).unwrap_err()).contains("holds no contract"));
    assert!(shown(&load_dir(&dir.path().join("nowhere")).unwrap_err()).contains("cannot be read"));
    assert!(
        shown(&parse_file(&dir.path().join("x.odcs.yaml")).unwrap_err()).contains("cannot be read")
    );
}

fn shop() -> Contracts {
    // Cargo runs tests in the folder of their package.
    load_dir(Path::new("../../contracts"))
        .map_err(|faults| shown(&faults))
        .unwrap()
}

#[test]
fn the_contracts_of_the_shop_load_and_say_what_the_shop_is() {
    let contracts = shop();
    let names: Vec<&str> = contracts
        .iter()
        .map(|contract| contract.dataset.as_str())
        .collect();
    let expected = [
        "ad_events",
        "customers",
        "order_items",
        "orders",
        "payments",
        "products",
        "refunds",
        "social_posts",
        "web_requests",
    ];
    assert_eq!(names, expected);
    for contract in contracts.iter() {
        assert!(
            contract
                .columns
                .iter()
                .all(|column| !column.description.is_empty()),
            "{}",
            contract.dataset
        );
        assert!(
            contract
                .columns
                .iter()
                .all(|column| column.classification.is_some()),
            "{}",
            contract.dataset
        );
        assert!(
            contract
                .rules
                .iter()
                .any(|rule| rule.kind.name() == "rowCount")
        );
        if let Some(natural) = natural_columns(contract.format) {
            // Posts as received are full of personal data; the raw zone keeps them. The shop's servers log nothing
            // after the user agent.
            let left_out = [
                "raw_json",
                "forwarded_for",
                "bytes_received",
                "bytes_sent",
                "request_time",
            ];
            let natural: Vec<_> = natural
                .iter()
                .filter(|column| !left_out.contains(&column.name))
                .map(|column| (column.name, column.required))
                .collect();
            let columns: Vec<_> = contract
                .columns
                .iter()
                .map(|column| (column.name.as_str(), column.required))
                .collect();
            assert_eq!(columns, natural, "{}", contract.dataset);
        }
    }
}

#[test]
fn keys_of_the_shop_are_claimed_by_its_contracts() {
    let contracts = shop();
    let names_of = |key: &str| -> Vec<&str> {
        contracts
            .claiming(key)
            .into_iter()
            .map(|contract| contract.dataset.as_str())
            .collect()
    };
    let tables = [
        "customers",
        "order_items",
        "orders",
        "payments",
        "products",
        "refunds",
    ];
    assert_eq!(
        names_of("raw/shop/database/ingest_date=2026-01-31/shop.sqlite"),
        tables
    );
    assert_eq!(
        names_of("raw/web/access_logs/ingest_date=2026-01-31/access é+1.log.gz"),
        ["web_requests"]
    );
    assert_eq!(names_of("raw/unknown/files/x"), [""; 0]);
}

#[test]
fn the_contracts_of_the_shop_have_its_columns_deletions_and_windows() {
    let contracts = shop();
    let orders = contracts.get("orders").unwrap();
    assert_eq!(
        orders.partitioning.as_ref().unwrap().unit,
        tarn_core::schema::PartitionUnit::Month
    );
    assert_eq!(orders.column("total").unwrap().source_name, "total_cents");
    assert_eq!(
        orders.column("total").unwrap().encoding,
        Encoding::MinorUnits(2)
    );
    let deleted = |name: &str| contracts.get(name).unwrap().deleted_rows;
    assert_eq!(
        (
            deleted("customers"),
            deleted("orders"),
            deleted("order_items")
        ),
        (DeletedRows::Soft, DeletedRows::Keep, DeletedRows::Remove)
    );
    let events = contracts.get("ad_events").unwrap();
    assert_eq!(events.deduplication.as_ref().unwrap().window_days, 7);
    assert_eq!(
        events.column("arrived_at").unwrap().source_name,
        "$arrivalTime"
    );
}
