"""Tests of several seconds whose claim quicker ones make as well, in other cases or less widely.

`make test-slow` runs them, with those that are marked where they are written.
"""

from __future__ import annotations

__all__ = ["LONG"]

#: How the ids of such tests begin, below tests/.
LONG = (
    "cli/test_cli.py::test_models_of_ngrams_go_to_arpa_files_and_back[]",
    "compiled/test_same.py::test_interpreted_and_compiled_are_the_same[Panel.forecast]",
    "contract/test_validation.py::test_it_chooses_by_the_pair_in_every_order[NADE]",
    "forecasting/test_bootstrap.py::test_every_family_is_refitted[MarkovSwitchingAR]",
    "forecasting/test_bootstrap.py::test_independent_values_are_predicted_by_students_t",
    "forecasting/test_bootstrap.py::test_the_error_of_the_coefficient_spreads_with_the_horizon",
    "inference/test_hypothesis.py::test_p_values_are_uniform_where_the_restriction_holds",
    "inference/test_hypothesis.py::test_where_the_variance_is_not_constant_the_sandwich_is_right",
    "models/autoregression/test_ar.py::test_the_contract[given]",
    "models/autoregression/test_ar.py::test_the_contract[normal start]",
    "models/autoregression/test_ar.py::test_the_contract[yule-walker]",
    "models/autoregression/test_ar.py::test_the_contract[ols]",
    "models/autoregression/test_ar.py::test_the_contract[line]",
    "models/autoregression/test_ar.py::test_the_contract[white]",
    "models/autoregression/test_ar.py::test_the_contract_of_given_parameters[coef0]",
    "models/autoregression/test_ar.py::test_the_contract_of_given_parameters[coef2]",
    "models/autoregression/test_bayesian.py::test_forecasts_are_calibrated_under_the_prior",
    "models/autoregression/test_missing.py::test_samples_continue_a_prefix_with_gaps",
    "models/discrete/test_count.py"
    "::test_fit_finds_the_truth_and_no_neighbour_is_better[negative_binomial]",
    "models/neural/images/test_pixel_models.py::test_what_is_learnt_of_copies_is_their_entropy",
    "models/neural/sequences/test_transformer.py::test_overfits_a_small_text[adamw]",
    "models/neural/sequences/test_transformer_images.py"
    "::test_images_and_texts_follow_what_they_are_conditioned_on[False]",
    "models/neural/sequences/test_transformer_images.py"
    "::test_what_is_learnt_of_copies_is_their_entropy",
    "models/neural/vectors/test_made_orders.py"
    "::test_learns_the_law_of_its_data_in_every_order[True]",
    "models/neural/vectors/test_made_tables.py::test_a_wide_table_keeps_the_contract",
    "models/neural/vectors/test_made_tables.py::test_columns_that_depend_are_told_better_together",
    "models/neural/vectors/test_maf.py::test_a_context_moves_the_law",
    "models/neural/vectors/test_maf.py::test_learns_a_curved_pair",
    "models/neural/vectors/test_nade_missing.py::test_reals_with_gaps",
    "models/neural/vectors/test_nade_orders.py::test_learns_the_law_of_its_data_in_every_order",
    "models/ngram/adaptive/test_context_tree.py::test_sources_are_recovered[Willems]",
    "models/ngram/arpa/test_arpa_dialects.py::test_memory_is_that_of_the_numbers",
    "models/ngram/backoff/test_filtering.py::test_kept_words_keep_their_probability",
    "models/ngram/smoothing/test_repeats.py::test_other_models_that_leave_out_say_so_too",
    "models/ngram/streaming/test_fitting.py::test_lines_of_words[kneser_ney-5]",
    "models/ngram/streaming/test_fitting.py::test_lines_of_words[absolute_discounting-5]",
    "models/ngram/streaming/test_fitting.py::test_one_stream_of_characters_or_bytes[12-char]",
    "models/ngram/streaming/test_fitting.py::test_the_parts_of_a_common_symbol_are_put_together",
    "models/ngram/test_lmplz.py::test_a_model_of_these_options_is_a_proper_process",
    "models/ngram/test_model.py::test_conformance_of_bytes",
    "models/ngram/test_model.py::test_conformance[None",
    "models/ngram/test_model.py::test_conformance[word-1",
    "models/ngram/test_model.py::test_conformance[4-4",
    "models/ngram/test_model.py::test_conformance[Tokens(unknown=False)",
    "models/ngram/test_model.py::test_conformance[Tokens(kind=None",
    "models/ngram/test_states.py"
    "::test_a_state_is_what_it_was_after_the_model_is_fitted_again[InfiniGram]",
    "models/panel/test_combination.py"
    "::test_better_candidates_weigh_more_and_the_average_beats_them",
    "models/panel/test_panel.py::test_a_series_keeps_the_contract",
    "hostile/test_hostile.py::test_the_campaign_sees_every_fault",
    "models/neural/vectors/test_vectors.py"
    "::test_a_law_is_loaded_where_its_model_s_module_was_not_imported",
    "models/ngram/test_interpolation.py::test_it_is_a_model_like_others",
    "models/neural/vectors/test_nade_missing.py::test_the_law_is_learnt_from_vectors_with_gaps",
    "forecasting/test_bootstrap.py::test_an_ar1_is_predicted_about_as_under_the_flat_prior",
    "models/autoregression/test_ill_posed.py"
    "::test_deterministic_data_with_gaps_are_refused[a sine-stationary-order1]",
    "models/autoregression/test_ar.py::test_the_contract[given line]",
    "models/neural/vectors/test_made_orders.py::test_learns_the_law_of_its_data_in_every_order[3]",
    "contract/test_validation.py::test_it_chooses_by_the_pair_in_every_order[MADE]",
    "models/neural/vectors/test_nade.py::test_rnade_learns_a_skewed_pair",
    "evaluation/synthetic/test_fidelity.py::test_fresh_data_pass[table]",
    "evaluation/synthetic/test_fidelity.py::test_fresh_data_pass[vectors]",
    "models/neural/vectors/test_made_tables.py"
    "::test_training_on_independent_columns_finds_their_laws",
    "models/neural/vectors/test_made_tables.py::test_what_is_missing_may_depend_on_other_columns",
    "models/neural/images/test_pixelcnn.py::test_what_is_learnt_of_copies_is_their_entropy",
    "models/neural/sequences/test_transformer_images.py"
    "::test_images_and_texts_follow_what_they_are_conditioned_on[True]",
    "models/autoregression/test_ridge.py::test_learnt_strengths_are_the_best",
    "models/neural/vectors/test_nade_orders.py::test_the_loss_is_the_mean_over_all_orders",
    "models/neural/vectors/test_heads.py::test_a_correlated_normal_is_learnt",
    "models/neural/vectors/test_table_any.py"
    "::test_draws_given_some_columns_have_their_conditional_law",
    "models/ngram/test_model.py::test_conformance[Tokens(kind='char'",
    "models/ngram/test_model.py::test_conformance[char-3",
    "models/ngram/streaming/test_fitting.py::test_the_model_is_one_like_any_other",
    "models/ngram/streaming/test_fitting.py::test_one_stream_of_characters_or_bytes[12-byte]",
    "models/ngram/streaming/test_fitting.py"
    "::test_the_hash_table_of_wide_contexts_is_made_in_blocks",
    "models/ngram/streaming/test_fitting.py::test_lines_of_words[modified_kneser_ney-5]",
    "evaluation/test_comparison.py::test_false_alarms_are_as_rare_as_stated[1-200]",
    "models/neural/test_inputs.py"
    "::test_a_context_in_its_own_units_is_as_good_as_a_standardised_one[PixelSNAIL]",
    "models/neural/test_inputs.py"
    "::test_a_context_in_its_own_units_is_as_good_as_a_standardised_one[PixelCNN++]",
    "models/regimes/test_switching.py::test_known_parameters_keep_the_contract",
    "models/regimes/test_setar.py::test_linearity_test",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[wavenet",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[first_call",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[regimes",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[ar]",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[import_time",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[volatility",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[generation",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[panel",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[speculation",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[m4",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[vector]",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[music",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[ngram]",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[tables",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[recurrent",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[made]",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[images",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[text_models",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[transformer_training",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[mnist",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[ngram_growth",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[vectors",
    "models/test_bounded.py::test_what_users_see",
    "testing/test_zoo.py::test_draws_that_are_no_elements_are_named",
    "models/panel/test_pooling.py::test_one_file_and_the_contract",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[m3",
    "test_benchmarks.py::test_each_runs_at_its_smallest_size[constraints",
    "models/neural/images/test_pixel_models.py"
    "::test_a_law_under_a_policy_is_loaded_where_its_model_was_never_imported",
    "testing/test_unusual.py::test_masses_too_wide_to_be_summed_are_said_to_be",
    "models/ngram/adaptive/test_context_tree.py::test_sources_are_recovered[Buehlmann]",
    "models/panel/test_panel.py::test_threads_make_no_difference",
)
