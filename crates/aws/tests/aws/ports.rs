//! The tests that every implementation of the ports passes, on an emulator.

use tarn_core::ports_suite;

use crate::emulator::Lake;

macro_rules! suite {
    ($port:ident, $of:expr => $($test:ident),+ $(,)?) => {
        mod $port {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs the emulator; run by cargo xtask test"]
                async fn $test() {
                    let lake = Lake::new().await;
                    if let Err(fault) = ports_suite::$port::$test($of(&lake)).await {
                        panic!("{fault}");
                    }
                }
            )+
        }
    };
}

suite!(objects, |lake: &Lake| lake.aws.objects() =>
    an_object_reads_back_whole_and_in_ranges,
    a_missing_object_is_not_found_and_its_deletion_no_error,
    put_if_absent_keeps_what_is_there,
    of_many_puts_if_absent_at_once_one_wins,
    a_new_content_has_a_new_version_and_a_greater_sequencer,
    a_list_is_complete_and_in_key_order,
    odd_keys_are_kept_literally_and_uris_lead_back,
    files_go_in_and_come_out,
    a_version_is_fetched_after_another_took_its_place,
    a_file_is_damaged_whose_content_has_another_digest_than_its_name,
);

suite!(catalog, |lake: &Lake| lake.aws.catalog() =>
    a_swap_needs_the_version_that_is_there,
    the_last_description_is_kept,
    the_list_is_complete_and_in_name_order,
    no_swap_is_lost_among_concurrent_writers,
);

suite!(ledger, |lake: &Lake| lake.aws.ledger() =>
    an_object_record_needs_the_revision_that_is_there,
    object_records_are_listed_by_prefix_in_key_order,
    of_many_writers_of_one_revision_one_wins,
    runs_are_kept_whole_and_listed_newest_first,
    a_named_value_that_advances_never_goes_back,
    a_named_value_is_the_last_that_was_set,
    a_named_value_is_swapped_for_the_one_that_is_there,
    what_is_said_of_anomalies_is_kept_in_order_of_time,
);
