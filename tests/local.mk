# tests/ - X_test.c for each X.c, at the same path
TEST_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_SRCDIR='"$(abs_top_srcdir)"' -DTEST_BUILDDIR='"$(abs_top_builddir)"' $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
AM_TESTS_ENVIRONMENT = WITNESSD_DATADIR='$(abs_top_srcdir)'; export WITNESSD_DATADIR; \
	srcdir='$(abs_top_srcdir)'; export srcdir; builddir='$(abs_top_builddir)'; export builddir;

if HAVE_CMOCKA
# base
check_PROGRAMS += tests/base/ring_test
TESTS += tests/base/ring_test
tests_base_ring_test_SOURCES = tests/base/ring_test.c
tests_base_ring_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_ring_test_LDADD = libbase.a $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/standard_test
TESTS += tests/base/standard_test
tests_base_standard_test_SOURCES = tests/base/standard_test.c
tests_base_standard_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_standard_test_LDADD = libbase.a $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/paths_test
TESTS += tests/base/paths_test
tests_base_paths_test_SOURCES = tests/base/paths_test.c
tests_base_paths_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_paths_test_LDADD = libbase.a $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/yaml_opt_test
TESTS += tests/base/yaml_opt_test
tests_base_yaml_opt_test_SOURCES = tests/base/yaml_opt_test.c
tests_base_yaml_opt_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_yaml_opt_test_LDADD = libbase.a $(YAML_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/yaml_test
TESTS += tests/base/yaml_test
tests_base_yaml_test_SOURCES = tests/base/yaml_test.c
tests_base_yaml_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_yaml_test_LDADD = libbase.a $(YAML_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/opt_test
TESTS += tests/base/opt_test
tests_base_opt_test_SOURCES = tests/base/opt_test.c
tests_base_opt_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_opt_test_LDADD = libbase.a $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/queue_test
TESTS += tests/base/queue_test
tests_base_queue_test_SOURCES = tests/base/queue_test.c
tests_base_queue_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_queue_test_LDADD = libbase.a $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/mailbox_test
TESTS += tests/base/mailbox_test
tests_base_mailbox_test_SOURCES = tests/base/mailbox_test.c
tests_base_mailbox_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_mailbox_test_LDADD = libbase.a $(UV_LIBS) $(CMOCKA_LIBS)

# model
EXTRA_DIST += tests/model/data/README.md tests/model/data/nano-tokenizer.json tests/model/data/nano-tokenizer-vectors.json \
	tests/model/data/chat-rendered.json \
	tests/model/data/blocks.bin tests/model/data/make_blocks.py
check_PROGRAMS += tests/model/tensor_file_test
TESTS += tests/model/tensor_file_test
tests_model_tensor_file_test_SOURCES = tests/model/tensor_file_test.c tests/model/model_writer.h tests/model/model_writer.c
tests_model_tensor_file_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_tensor_file_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/mapping_test
TESTS += tests/model/mapping_test
tests_model_mapping_test_SOURCES = tests/model/mapping_test.c
tests_model_mapping_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_mapping_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/gguf_split_test
TESTS += tests/model/gguf_split_test
tests_model_gguf_split_test_SOURCES = tests/model/gguf_split_test.c tests/model/model_writer.h tests/model/model_writer.c
tests_model_gguf_split_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_gguf_split_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/foreign_file_test
TESTS += tests/model/foreign_file_test
tests_model_foreign_file_test_SOURCES = tests/model/foreign_file_test.c
tests_model_foreign_file_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_foreign_file_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/tensor_values_test
TESTS += tests/model/tensor_values_test
tests_model_tensor_values_test_SOURCES = tests/model/tensor_values_test.c
tests_model_tensor_values_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_tensor_values_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/shape_test
TESTS += tests/model/shape_test
tests_model_shape_test_SOURCES = tests/model/shape_test.c tests/model/model_writer.h tests/model/model_writer.c
tests_model_shape_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_shape_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/tokenizer_test
TESTS += tests/model/tokenizer_test
tests_model_tokenizer_test_SOURCES = tests/model/tokenizer_test.c tests/model/model_writer.h tests/model/model_writer.c \
	tests/model/many_scripts.h tests/model/many_scripts.c tests/no_malloc.h tests/no_malloc.c
tests_model_tokenizer_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_tokenizer_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/chat_test
TESTS += tests/model/chat_test
tests_model_chat_test_SOURCES = tests/model/chat_test.c tests/model/chat_case.h tests/model/chat_case.c
tests_model_chat_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_chat_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/chat_json_test
TESTS += tests/model/chat_json_test
tests_model_chat_json_test_SOURCES = tests/model/chat_json_test.c
tests_model_chat_json_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_chat_json_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/chat_reply_test
TESTS += tests/model/chat_reply_test
tests_model_chat_reply_test_SOURCES = tests/model/chat_reply_test.c tests/model/chat_case.h tests/model/chat_case.c
tests_model_chat_reply_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_chat_reply_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/json_scan_test
TESTS += tests/model/json_scan_test
tests_model_json_scan_test_SOURCES = tests/model/json_scan_test.c
tests_model_json_scan_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_json_scan_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/utf8_test
TESTS += tests/base/utf8_test
tests_base_utf8_test_SOURCES = tests/base/utf8_test.c
tests_base_utf8_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_utf8_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
# The sources too: it builds them for another processor.
dist_check_SCRIPTS = tests/neon_test.sh tests/avx512_test.sh
TESTS += tests/neon_test.sh tests/avx512_test.sh
EXTRA_DIST += tests/model/random_blocks.h tests/model/emulated/immintrin.h tests/model/emulated/kernels_emulated.c
EXTRA_DIST += tests/model/kernels_main.c model/kernels_neon.c
check_PROGRAMS += tests/model/quant_test
TESTS += tests/model/quant_test
tests_model_quant_test_SOURCES = tests/model/quant_test.c
tests_model_quant_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_quant_test_LDADD = $(MODEL_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/threads_test
TESTS += tests/model/threads_test
tests_model_threads_test_SOURCES = tests/model/threads_test.c
tests_model_threads_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_threads_test_LDADD = $(MODEL_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/ops_test
TESTS += tests/model/ops_test
tests_model_ops_test_SOURCES = tests/model/ops_test.c
tests_model_ops_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_ops_test_LDADD = $(MODEL_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/kernels_test
TESTS += tests/model/kernels_test
tests_model_kernels_test_SOURCES = tests/model/kernels_test.c tests/model/kernels_check.h tests/model/kernels_check.c
tests_model_kernels_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_kernels_test_LDADD = $(MODEL_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/linear_test
TESTS += tests/model/linear_test
tests_model_linear_test_SOURCES = tests/model/linear_test.c tests/no_malloc.h tests/no_malloc.c
tests_model_linear_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_linear_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/features_test
TESTS += tests/model/features_test
tests_model_features_test_SOURCES = tests/model/features_test.c
tests_model_features_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_features_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/voice_test
TESTS += tests/model/voice_test
tests_model_voice_test_SOURCES = tests/model/voice_test.c
tests_model_voice_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_voice_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
EXTRA_DIST += tests/voice/README.md tests/voice/golden.safetensors
check_PROGRAMS += tests/model/sampler_test
TESTS += tests/model/sampler_test
tests_model_sampler_test_SOURCES = tests/model/sampler_test.c
tests_model_sampler_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_sampler_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/kv_cache_test
TESTS += tests/model/kv_cache_test
tests_model_kv_cache_test_SOURCES = tests/model/kv_cache_test.c
tests_model_kv_cache_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_kv_cache_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
SMALL_MODEL = tests/model/small_model.h tests/model/small_model.c tests/golden/checkpoint.h tests/golden/checkpoint.c
check_PROGRAMS += tests/model/weights_test
TESTS += tests/model/weights_test
tests_model_weights_test_SOURCES = tests/model/weights_test.c $(SMALL_MODEL)
tests_model_weights_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_weights_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/embed_test
TESTS += tests/model/embed_test
tests_model_embed_test_SOURCES = tests/model/embed_test.c $(SMALL_MODEL)
tests_model_embed_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_embed_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/attention_test
TESTS += tests/model/attention_test
tests_model_attention_test_SOURCES = tests/model/attention_test.c $(SMALL_MODEL)
tests_model_attention_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_attention_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/engine_test
TESTS += tests/model/engine_test
tests_model_engine_test_SOURCES = tests/model/engine_test.c $(SMALL_MODEL)
tests_model_engine_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_engine_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/model/decoder_test
TESTS += tests/model/decoder_test
tests_model_decoder_test_SOURCES = tests/model/decoder_test.c tests/no_malloc.h tests/no_malloc.c $(SMALL_MODEL)
tests_model_decoder_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_decoder_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/model/drafter_test
TESTS += tests/model/drafter_test
DRAFTER_MODEL = tests/golden/drafter.h tests/golden/drafter.c tests/model/model_writer.h tests/model/model_writer.c
tests_model_drafter_test_SOURCES = tests/model/drafter_test.c tests/no_malloc.h tests/no_malloc.c $(SMALL_MODEL) $(DRAFTER_MODEL)
tests_model_drafter_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_model_drafter_test_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/golden_test
TESTS += tests/golden_test
tests_golden_test_SOURCES = tests/golden_test.c tests/golden/checkpoint.h tests/golden/checkpoint.c \
	tests/golden/pictures.h tests/golden/pictures.c
tests_golden_test_CPPFLAGS = $(TEST_CPPFLAGS) $(AVUTIL_CFLAGS)
tests_golden_test_LDADD = libpipeline.a $(MODEL_LIBS) $(MODEL_SYSLIBS) $(AVUTIL_LIBS) $(CMOCKA_LIBS)
EXTRA_DIST += tests/golden/README.md tests/golden/cases.json tests/golden/vectors

check_PROGRAMS += tests/nano_test
TESTS += tests/nano_test
tests_nano_test_SOURCES = tests/nano_test.c
tests_nano_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_nano_test_LDADD = $(CLI_LIBS) $(CLI_SYSLIBS) $(CMOCKA_LIBS)

# pipeline
check_PROGRAMS += tests/pipeline/activity_test
TESTS += tests/pipeline/activity_test
tests_pipeline_activity_test_SOURCES = tests/pipeline/activity_test.c
tests_pipeline_activity_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_activity_test_LDADD = libpipeline.a $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/cluster_test
TESTS += tests/pipeline/cluster_test
tests_pipeline_cluster_test_SOURCES = tests/pipeline/cluster_test.c
tests_pipeline_cluster_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_cluster_test_LDADD = libpipeline.a $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/speakers_test
TESTS += tests/pipeline/speakers_test
tests_pipeline_speakers_test_SOURCES = tests/pipeline/speakers_test.c tests/no_malloc.h tests/no_malloc.c
tests_pipeline_speakers_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_speakers_test_LDADD = libpipeline.a $(MODEL_LIBS) $(MODEL_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/sources_test
TESTS += tests/pipeline/sources_test
tests_pipeline_sources_test_SOURCES = tests/pipeline/sources_test.c
tests_pipeline_sources_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_sources_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/source_portaudio_test
TESTS += tests/pipeline/source_portaudio_test
tests_pipeline_source_portaudio_test_SOURCES = tests/pipeline/source_portaudio_test.c tests/pipeline/play.h tests/pipeline/play.c
tests_pipeline_source_portaudio_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_source_portaudio_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/source_gst_test
TESTS += tests/pipeline/source_gst_test
tests_pipeline_source_gst_test_SOURCES = tests/pipeline/source_gst_test.c tests/pipeline/play.h tests/pipeline/play.c
tests_pipeline_source_gst_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_source_gst_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/source_ffmpeg_test
TESTS += tests/pipeline/source_ffmpeg_test
tests_pipeline_source_ffmpeg_test_SOURCES = tests/pipeline/source_ffmpeg_test.c tests/pipeline/play.h tests/pipeline/play.c
tests_pipeline_source_ffmpeg_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_source_ffmpeg_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/input_test
TESTS += tests/pipeline/input_test
tests_pipeline_input_test_SOURCES = tests/pipeline/input_test.c tests/pipeline/play.h tests/pipeline/play.c
tests_pipeline_input_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_input_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/feed_test
TESTS += tests/pipeline/feed_test
tests_pipeline_feed_test_SOURCES = tests/pipeline/feed_test.c
tests_pipeline_feed_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_feed_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/resample_test
TESTS += tests/pipeline/resample_test
tests_pipeline_resample_test_SOURCES = tests/pipeline/resample_test.c
tests_pipeline_resample_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_resample_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/framer_test
TESTS += tests/pipeline/framer_test
tests_pipeline_framer_test_SOURCES = tests/pipeline/framer_test.c
tests_pipeline_framer_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_framer_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/timeline_test
TESTS += tests/pipeline/timeline_test
tests_pipeline_timeline_test_SOURCES = tests/pipeline/timeline_test.c
tests_pipeline_timeline_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_timeline_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
EXTRA_DIST += tests/pipeline/data/word_times.json tests/pipeline/data/word_times.u16
check_PROGRAMS += tests/pipeline/parse_test
TESTS += tests/pipeline/parse_test
tests_pipeline_parse_test_SOURCES = tests/pipeline/parse_test.c
tests_pipeline_parse_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_parse_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/parse_scene_test
TESTS += tests/pipeline/parse_scene_test
tests_pipeline_parse_scene_test_SOURCES = tests/pipeline/parse_scene_test.c
tests_pipeline_parse_scene_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_parse_scene_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/settle_test
TESTS += tests/pipeline/settle_test
tests_pipeline_settle_test_SOURCES = tests/pipeline/settle_test.c
tests_pipeline_settle_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_settle_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/align_test
TESTS += tests/pipeline/align_test
tests_pipeline_align_test_SOURCES = tests/pipeline/align_test.c
tests_pipeline_align_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_align_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/window_test
TESTS += tests/pipeline/window_test
tests_pipeline_window_test_SOURCES = tests/pipeline/window_test.c
tests_pipeline_window_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_window_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/dump_input
TESTS += tests/media_matrix_test.sh
EXTRA_DIST += tests/media_matrix_test.sh
tests_pipeline_dump_input_SOURCES = tests/pipeline/dump_input.c
tests_pipeline_dump_input_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_dump_input_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS)
EXTRA_DIST += tests/pipeline/data/nano_prompts.json
check_PROGRAMS += tests/pipeline/prompt_test
TESTS += tests/pipeline/prompt_test
tests_pipeline_prompt_test_SOURCES = tests/pipeline/prompt_test.c
tests_pipeline_prompt_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_prompt_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/profile_test
TESTS += tests/pipeline/profile_test
tests_pipeline_profile_test_SOURCES = tests/pipeline/profile_test.c
tests_pipeline_profile_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_profile_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/picture_test
TESTS += tests/pipeline/picture_test
EXTRA_DIST += tests/pipeline/data/README.md tests/pipeline/data/sizes.json tests/pipeline/data/pictures.json \
	tests/pipeline/data/resize.json
tests_pipeline_picture_test_SOURCES = tests/pipeline/picture_test.c
tests_pipeline_picture_test_CPPFLAGS = $(TEST_CPPFLAGS) $(AVUTIL_CFLAGS)
tests_pipeline_picture_test_LDADD = libpipeline.a $(MODEL_LIBS) $(MODEL_SYSLIBS) $(AVUTIL_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/event_test
TESTS += tests/pipeline/event_test
tests_pipeline_event_test_SOURCES = tests/pipeline/event_test.c
tests_pipeline_event_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_event_test_LDADD = libpipeline.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/pipeline/transcript_test
TESTS += tests/pipeline/transcript_test
tests_pipeline_transcript_test_SOURCES = tests/pipeline/transcript_test.c tests/no_malloc.h tests/no_malloc.c
tests_pipeline_transcript_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_transcript_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)

NANO_MODEL = tests/pipeline/nano.h tests/pipeline/nano.c
check_PROGRAMS += tests/pipeline/schedule_test
TESTS += tests/pipeline/schedule_test
tests_pipeline_schedule_test_SOURCES = tests/pipeline/schedule_test.c
tests_pipeline_schedule_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_schedule_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/publish_test
TESTS += tests/pipeline/publish_test
tests_pipeline_publish_test_SOURCES = tests/pipeline/publish_test.c
tests_pipeline_publish_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_publish_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/job_test
TESTS += tests/pipeline/job_test
tests_pipeline_job_test_SOURCES = tests/pipeline/job_test.c
tests_pipeline_job_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_job_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/clip_test
TESTS += tests/pipeline/clip_test
tests_pipeline_clip_test_SOURCES = tests/pipeline/clip_test.c
tests_pipeline_clip_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_clip_test_LDADD = libpipeline.a $(CMOCKA_LIBS) -lm
check_PROGRAMS += tests/pipeline/media_file_test
TESTS += tests/pipeline/media_file_test
EXTRA_DIST += tests/pipeline/data/stereo_mono_stereo.mp2
tests_pipeline_media_file_test_SOURCES = tests/pipeline/media_file_test.c
tests_pipeline_media_file_test_CPPFLAGS = $(TEST_CPPFLAGS) $(AVFORMAT_CFLAGS) $(AVCODEC_CFLAGS)
tests_pipeline_media_file_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS) -lm
check_PROGRAMS += tests/pipeline/generate_test
TESTS += tests/pipeline/generate_test
tests_pipeline_generate_test_SOURCES = tests/pipeline/generate_test.c $(NANO_MODEL) $(SMALL_MODEL) $(DRAFTER_MODEL)
tests_pipeline_generate_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_generate_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/worker_test
TESTS += tests/pipeline/worker_test
tests_pipeline_worker_test_SOURCES = tests/pipeline/worker_test.c $(NANO_MODEL) tests/golden/checkpoint.h tests/golden/checkpoint.c \
	$(DRAFTER_MODEL)
tests_pipeline_worker_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_worker_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/scene_test
TESTS += tests/pipeline/scene_test
tests_pipeline_scene_test_SOURCES = tests/pipeline/scene_test.c tests/no_malloc.h tests/no_malloc.c $(NANO_MODEL)
tests_pipeline_scene_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_scene_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/voices_test
TESTS += tests/pipeline/voices_test
tests_pipeline_voices_test_SOURCES = tests/pipeline/voices_test.c $(NANO_MODEL)
tests_pipeline_voices_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_voices_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/pipeline/stream_test
TESTS += tests/pipeline/stream_test
tests_pipeline_stream_test_SOURCES = tests/pipeline/stream_test.c $(NANO_MODEL)
tests_pipeline_stream_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_pipeline_stream_test_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS) $(CMOCKA_LIBS)

# sinks
check_PROGRAMS += tests/sinks/event_json_test
TESTS += tests/sinks/event_json_test
tests_sinks_event_json_test_SOURCES = tests/sinks/event_json_test.c tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_event_json_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_event_json_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/write_events
tests_sinks_write_events_SOURCES = tests/sinks/write_events.c tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_write_events_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_write_events_LDADD = libsinks.a libpipeline.a libbase.a $(UV_LIBS)
TESTS += tests/sinks/schema_test.sh
EXTRA_DIST += tests/sinks/schema_test.sh tests/sinks/check_schema.py
check_PROGRAMS += tests/sinks/router_test
TESTS += tests/sinks/router_test
tests_sinks_router_test_SOURCES = tests/sinks/router_test.c
tests_sinks_router_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_router_test_LDADD = libsinks.a libpipeline.a libbase.a $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/base/utf8_columns_test
TESTS += tests/base/utf8_columns_test
tests_base_utf8_columns_test_SOURCES = tests/base/utf8_columns_test.c
tests_base_utf8_columns_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_base_utf8_columns_test_LDADD = libsinks.a libpipeline.a libbase.a $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/out_test
TESTS += tests/sinks/out_test
tests_sinks_out_test_SOURCES = tests/sinks/out_test.c
tests_sinks_out_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_out_test_LDADD = libsinks.a libpipeline.a libbase.a $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/cues_test
TESTS += tests/sinks/cues_test
tests_sinks_cues_test_SOURCES = tests/sinks/cues_test.c \
	tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_cues_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_cues_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/sink_jsonl_test
TESTS += tests/sinks/sink_jsonl_test
tests_sinks_sink_jsonl_test_SOURCES = tests/sinks/sink_jsonl_test.c \
	tests/sinks/sink_fixture.h tests/sinks/sink_fixture.c tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_sink_jsonl_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_sink_jsonl_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/sink_srt_test
TESTS += tests/sinks/sink_srt_test
tests_sinks_sink_srt_test_SOURCES = tests/sinks/sink_srt_test.c \
	tests/sinks/sink_fixture.h tests/sinks/sink_fixture.c tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_sink_srt_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_sink_srt_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/sink_webvtt_test
TESTS += tests/sinks/sink_webvtt_test
tests_sinks_sink_webvtt_test_SOURCES = tests/sinks/sink_webvtt_test.c \
	tests/sinks/sink_fixture.h tests/sinks/sink_fixture.c tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_sink_webvtt_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_sink_webvtt_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/sink_rttm_test
TESTS += tests/sinks/sink_rttm_test
tests_sinks_sink_rttm_test_SOURCES = tests/sinks/sink_rttm_test.c \
	tests/sinks/sink_fixture.h tests/sinks/sink_fixture.c tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_sink_rttm_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_sink_rttm_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/sink_text_test
TESTS += tests/sinks/sink_text_test
tests_sinks_sink_text_test_SOURCES = tests/sinks/sink_text_test.c \
	tests/sinks/sink_fixture.h tests/sinks/sink_fixture.c tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_sink_text_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_sink_text_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/terminal_demo
tests_sinks_terminal_demo_SOURCES = tests/sinks/terminal_demo.c
tests_sinks_terminal_demo_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_terminal_demo_LDADD = libsinks.a libpipeline.a libbase.a $(UV_LIBS)
check_PROGRAMS += tests/sinks/screen_test
TESTS += tests/sinks/screen_test
tests_sinks_screen_test_SOURCES = tests/sinks/screen_test.c \
	tests/sinks/sample_events.h tests/sinks/sample_events.c
tests_sinks_screen_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_screen_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/sinks/sink_terminal_test
TESTS += tests/sinks/sink_terminal_test
tests_sinks_sink_terminal_test_SOURCES = tests/sinks/sink_terminal_test.c \
	tests/sinks/sink_fixture.h tests/sinks/sink_fixture.c
tests_sinks_sink_terminal_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_sinks_sink_terminal_test_LDADD = libsinks.a libpipeline.a libbase.a $(JANSSON_LIBS) $(UV_LIBS) $(CMOCKA_LIBS)

# daemon
check_PROGRAMS += tests/daemon/witnessd_yaml_test
TESTS += tests/daemon/witnessd_yaml_test
tests_daemon_witnessd_yaml_test_SOURCES = tests/daemon/witnessd_yaml_test.c
tests_daemon_witnessd_yaml_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_daemon_witnessd_yaml_test_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/daemon/config_test
TESTS += tests/daemon/config_test
tests_daemon_config_test_SOURCES = tests/daemon/config_test.c
tests_daemon_config_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_daemon_config_test_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/daemon/notify_test
TESTS += tests/daemon/notify_test
tests_daemon_notify_test_SOURCES = tests/daemon/notify_test.c
tests_daemon_notify_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_daemon_notify_test_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/daemon/signals_test
TESTS += tests/daemon/signals_test
tests_daemon_signals_test_SOURCES = tests/daemon/signals_test.c
tests_daemon_signals_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_daemon_signals_test_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/flow_test
TESTS += tests/flow_test
tests_flow_test_SOURCES = tests/flow_test.c
tests_flow_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_flow_test_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)

# cli
check_PROGRAMS += tests/cli/eval_case_test
TESTS += tests/cli/eval_case_test
tests_cli_eval_case_test_SOURCES = tests/cli/eval_case_test.c $(NANO_MODEL)
tests_cli_eval_case_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_cli_eval_case_test_LDADD = $(CLI_LIBS) $(CLI_SYSLIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/cli/model_eval_test
TESTS += tests/cli/model_eval_test
tests_cli_model_eval_test_SOURCES = tests/cli/model_eval_test.c
tests_cli_model_eval_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_cli_model_eval_test_LDADD = $(CLI_LIBS) $(CLI_SYSLIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS) -lm
check_PROGRAMS += tests/cli/checksum_test
TESTS += tests/cli/checksum_test
tests_cli_checksum_test_SOURCES = tests/cli/checksum_test.c
tests_cli_checksum_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_cli_checksum_test_LDADD = libcli.a libbase.a $(AVUTIL_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/cli/fetch_plan_test
TESTS += tests/cli/fetch_plan_test
tests_cli_fetch_plan_test_SOURCES = tests/cli/fetch_plan_test.c
tests_cli_fetch_plan_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_cli_fetch_plan_test_LDADD = libcli.a libbase.a $(CMOCKA_LIBS)
TESTS += tests/cli/pull_test.sh
EXTRA_DIST += tests/cli/pull_test.sh tests/cli/pull_test.py
TESTS += tests/cli/model_test.sh
EXTRA_DIST += tests/cli/model_test.sh
TESTS += tests/cli/transcribe_test.sh
EXTRA_DIST += tests/cli/transcribe_test.sh
TESTS += tests/daemon_test.sh
EXTRA_DIST += tests/daemon_test.sh
endif

# tools
TESTS += tests/tools_test.sh
EXTRA_DIST += tests/tools_test.sh tests/tools/score_test.py tests/tools/gguf_test.py tools/score.py
EXTRA_DIST += tests/nano

# fuzz: tests/fuzz/run.sh runs them
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/make_seeds.py
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_parse
tests_fuzz_fuzz_parse_SOURCES = tests/fuzz/fuzz_parse.c
tests_fuzz_fuzz_parse_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_parse_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_parse_LDADD = $(PIPELINE_LIBS) $(PIPELINE_SYSLIBS)
noinst_PROGRAMS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_config_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS)
noinst_PROGRAMS += tests/fuzz/fuzz_folder
tests_fuzz_fuzz_folder_SOURCES = tests/fuzz/fuzz_folder.c
tests_fuzz_fuzz_folder_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_folder_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_folder_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS)
noinst_PROGRAMS += tests/fuzz/fuzz_gguf tests/fuzz/fuzz_safetensors tests/fuzz/fuzz_tokenizer
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz_gguf.c
tests_fuzz_fuzz_gguf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_gguf_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_gguf_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS)
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c
tests_fuzz_fuzz_safetensors_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_safetensors_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_safetensors_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS)
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c
tests_fuzz_fuzz_tokenizer_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_tokenizer_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_tokenizer_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS)
noinst_PROGRAMS += tests/fuzz/fuzz_chat
tests_fuzz_fuzz_chat_SOURCES = tests/fuzz/fuzz_chat.c
tests_fuzz_fuzz_chat_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_chat_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_chat_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS)
endif

# Who may include whom.
TESTS += tools/check_arrows.sh
EXTRA_DIST += tools/check_arrows.sh

# `make coverage`, after configure --enable-coverage: runs the tests, then prints how many lines each file of model/ and pipeline/ had executed, and
# the sum over each folder. GCOVR_FLAGS: for instance --html-details coverage.html
COVERAGE_FOLDERS = base model pipeline sinks daemon cli
GCOVR = gcovr
GCOVR_FLAGS =
.PHONY: coverage
if COVERAGE
coverage:
	@command -v $(GCOVR) >/dev/null || { echo "coverage: gcovr is missing (Debian: apt-get install gcovr)" >&2; exit 1; }
	find . -name '*.gcda' -exec rm -f {} +
	$(MAKE) $(AM_MAKEFLAGS) check || { echo "coverage: the tests must pass first" >&2; exit 1; }
	$(GCOVR) --root '$(abs_top_srcdir)' --object-directory . --filter '$(abs_top_srcdir)/model/' --filter '$(abs_top_srcdir)/pipeline/' \
		--gcov-ignore-parse-errors --sort-uncovered $(GCOVR_FLAGS) .
	@for folder in $(COVERAGE_FOLDERS); do \
		printf '%-10s' "$$folder"; \
		$(GCOVR) --root '$(abs_top_srcdir)' --object-directory . --filter "$(abs_top_srcdir)/$$folder/" --gcov-ignore-parse-errors . | \
			grep '^TOTAL'; \
	done
else
coverage:
	@echo "coverage: configure with --enable-coverage first" >&2; exit 1
endif
