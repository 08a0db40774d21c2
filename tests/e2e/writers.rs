//! Several processes at once.

use std::process::Stdio;

use crate::lake::Lake;

#[test]
fn six_processes_ingest_into_one_table_and_no_row_is_lost() {
    const PROCESSES: usize = 6;
    const FILES: usize = 3;
    const LINES: usize = 500;
    let lake = Lake::new();
    // The first ingest makes the tables; the race below is for their versions.
    for with_table in [false, true] {
        let round = usize::from(with_table);
        let mut children = Vec::new();
        for process in 0..PROCESSES {
            let mut command = lake.command();
            command.args(["--json", "ingest", "--to", "web/access_logs"]);
            for file in 0..FILES {
                let lines: String = (0..LINES)
                    .map(|line| {
                        format!("10.0.{process}.{file} - - [0{}/Jan/2026:00:00:00 +0000] \"GET /{round}/{process}/{file}/{line} HTTP/1.1\" 200 1\n", 1 + line % 3)
                    })
                    // One line of each file goes to the quarantine table, which is fought for as well.
                    .chain(["broken\n".to_owned()])
                    .collect();
                command.arg(lake.file(&format!("{round}-{process}-{file}.log"), lines));
            }
            children.push(
                command
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap(),
            );
        }
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let rows = PROCESSES * FILES * LINES * (round + 1);
        assert_eq!(lake.value("SELECT COUNT(*) AS n FROM web_requests"), rows);
        assert_eq!(
            lake.value("SELECT COUNT(*) AS n FROM (SELECT DISTINCT path FROM web_requests) t"),
            rows
        );
        assert_eq!(
            lake.value("SELECT COUNT(*) AS n FROM quarantine_web_requests"),
            PROCESSES * FILES * (round + 1)
        );
    }
}
