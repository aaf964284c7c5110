//! The list of all properties, from which each implementation makes its tests.

/// The tests of one implementation, in the module of that name. A property that is missing here is
/// reported by the compiler as dead code.
macro_rules! conformance {
    (store, $bench:ty) => {
        $crate::store_conformance::contract::conformance! { @each $bench;
            functions: a_function_is_found_as_it_was_stored,
            functions: an_unknown_function_is_absent_and_no_error,
            functions: a_new_configuration_keeps_creation_and_versions,
            functions: an_equal_configuration_changes_nothing,
            functions: functions_are_listed_by_name,
            functions: a_deleted_function_takes_its_versions_along,
            versions: versions_count_up_from_one_and_the_newest_is_active,
            versions: the_active_version_and_three_others_are_kept,
            versions: a_number_is_never_given_twice_also_after_its_version_is_gone,
            versions: deploying_what_is_active_makes_no_version,
            versions: a_rollback_puts_a_kept_version_in_force,
            versions: the_version_before_a_bad_deploy_is_kept_however_old_it_is,
            versions: a_version_that_is_not_kept_cannot_be_activated,
            versions: a_version_needs_its_function_and_its_archive,
            versions: simultaneous_deploys_get_different_numbers,
            archives: an_archive_reads_back_under_its_digest,
            archives: an_archive_that_is_not_the_announced_one_is_refused,
            archives: an_unknown_archive_is_absent_and_no_error,
            archives: a_dropped_upload_leaves_nothing,
            archives: only_old_archives_without_a_version_are_collected,
            archives: storing_an_archive_again_makes_it_young,
            archives: an_archive_that_is_being_read_can_be_collected,
            agents: an_agent_is_written_only_over_what_its_writer_saw,
            agents: a_late_write_does_not_bring_a_deleted_agent_back,
            agents: a_revision_of_a_deleted_agent_does_not_fit_its_successor,
            agents: of_simultaneous_writers_one_wins,
            agents: agents_keep_every_field_and_are_listed_by_id,
            changes: every_write_is_news_in_order_and_each_thing_once,
            changes: what_changes_nothing_is_no_news,
            changes: what_is_read_tells_the_revision_of_its_last_write,
            changes: who_has_missed_more_than_is_remembered_has_to_read_everything,
            changes: a_revision_that_is_still_to_come_is_of_another_store,
            changes: who_waits_for_news_is_woken_by_a_write_a_pull_or_the_time,
            routes: a_route_is_found_as_it_was_stored,
            routes: a_lazily_stored_route_is_visible_at_once_and_after_a_flush,
            routes: changes_apply_to_a_lazily_stored_route_in_order,
            routes: a_route_goes_and_may_lead_elsewhere_then,
            routes: routes_of_an_agent_are_listed_in_pages,
            idempotency: a_key_is_claimed_once,
            idempotency: of_simultaneous_claims_one_is_new,
            idempotency: an_abandoned_key_is_free,
            idempotency: a_key_is_free_again_after_its_time,
            idempotency: an_execution_is_claimed_until_its_last_key_is_over,
            tokens: a_token_is_taken_once,
            tokens: of_simultaneous_takers_one_gets_the_token,
            tokens: a_token_that_is_over_is_absent,
        }
    };
    (history, $bench:ty) => {
        $crate::store_conformance::contract::conformance! { @each $bench;
            records: an_execution_is_found_as_it_was_kept,
            records: an_unknown_execution_is_absent_and_no_error,
            records: a_lazily_kept_execution_is_visible_at_once_and_stays,
            records: the_first_record_of_an_execution_stays,
            records: of_simultaneous_records_one_is_kept,
            records: records_are_listed_newest_first_filtered_and_continued,
            records: successes_and_others_are_due_at_their_own_age,
            records: a_reprieved_record_is_not_due_and_not_old_before_its_time,
            records: a_forgotten_record_takes_its_output_along,
            records: what_is_forgotten_gives_its_room_back,
            outputs: output_reads_back_from_any_position,
            outputs: output_that_comes_later_is_taken_up_once,
            outputs: output_is_fetched_in_pieces_and_again_after_a_failure,
            outputs: output_that_nobody_waits_for_is_not_added,
            outputs: outputs_that_are_still_at_an_agent_are_named,
            outputs: forgotten_output_leaves_its_record,
            ends: ends_are_kept_together_with_their_mark,
            ends: a_mark_follows_its_agent_also_back,
            ends: an_end_that_came_with_its_answer_is_kept_once,
            ends: ends_are_released_up_to_the_first_output_that_is_not_here,
            ends: a_forgotten_agent_takes_what_was_not_fetched,
        }
    };
    (@each $bench:ty; $($topic:ident: $property:ident,)*) => {
        $(
            fn $property() {
                $crate::store_conformance::$topic::$property(&<$bench>::default());
            }
        )*
        $crate::runner::tests![$($property),*];
    };
}
pub(crate) use conformance;
