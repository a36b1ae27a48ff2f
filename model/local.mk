# model/ - computes, never waits
noinst_LIBRARIES += libmodel.a
libmodel_a_SOURCES = \
	model/json_scan.h model/json_scan.c \
	model/mapping.h model/mapping.c \
	model/foreign_file.h model/foreign_file.c \
	model/tensor_file.h model/tensor_file.c \
	model/tensor_table.h model/tensor_table.c \
	model/tensor_values.h model/tensor_values.c \
	model/tensor_meta.c model/gguf.c model/gguf_split.c model/gguf_write.h model/gguf_write.c model/safetensors.c \
	model/shape.h model/shape_parts.h model/shape.c \
	model/shape_gguf.c model/shape_json.c \
	model/tokenizer.h model/tokenizer_parts.h model/tokenizer.c \
	model/tokenizer_load.c model/tokenizer_encode.c model/tokenizer_decode.c \
	model/chat.h model/chat_parts.h model/chat.c \
	model/chat_values.h model/chat_values.c model/chat_tools.c \
	model/chat_json.h model/chat_json.c model/chat_reply.h model/chat_reply.c
libmodel_a_SOURCES += \
	model/features.h model/features.c \
	model/voice.h model/voice.c
libmodel_a_CFLAGS = $(AM_CFLAGS) $(OPENBLAS_CFLAGS) $(JANSSON_CFLAGS)
libmodel_a_CPPFLAGS = $(AM_CPPFLAGS) $(KERNEL_CPPFLAGS)
MODEL_LIBS = libmodel.a $(KERNEL_LIBS) libbase.a
MODEL_SYSLIBS = $(OPENBLAS_LIBS) $(JANSSON_LIBS)

# Arithmetic: each processor family's kernels are a library with its own flags.
libmodel_a_SOURCES += \
	model/quant.h model/quant_blocks.h model/quant.c model/quant_pack.c \
	model/threads.h model/threads.c \
	model/kernels.h model/kernels_tables.h model/kernels.c model/kernels_ref.c \
	model/linear.h model/linear.c \
	model/ops.h model/ops.c
KERNEL_CPPFLAGS =
KERNEL_LIBS =
if CPU_X86
KERNEL_CPPFLAGS += -DHAVE_KERNELS_AVX2 -DHAVE_KERNELS_AVX512 -DHAVE_KERNELS_AVX512VNNI
KERNEL_LIBS += libmodel_avx2.a libmodel_avx512.a libmodel_avx512vnni.a
noinst_LIBRARIES += libmodel_avx2.a libmodel_avx512.a libmodel_avx512vnni.a
libmodel_avx2_a_SOURCES = model/kernels_avx2.c model/kernels_tile.h
libmodel_avx2_a_CFLAGS = $(AM_CFLAGS) -O3 -mavx2 -mfma -mf16c
AVX512_CFLAGS = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c
libmodel_avx512_a_SOURCES = model/kernels_avx512.h model/kernels_avx512.c model/kernels_tile.h
libmodel_avx512_a_CFLAGS = $(AM_CFLAGS) -O3 $(AVX512_CFLAGS)
libmodel_avx512vnni_a_SOURCES = model/kernels_avx512.h model/kernels_avx512vnni.c model/kernels_tile.h
libmodel_avx512vnni_a_CFLAGS = $(AM_CFLAGS) -O3 $(AVX512_CFLAGS) -mavx512vnni
endif
if CPU_ARM64
KERNEL_CPPFLAGS += -DHAVE_KERNELS_NEON
KERNEL_LIBS += libmodel_neon.a
noinst_LIBRARIES += libmodel_neon.a
libmodel_neon_a_SOURCES = model/kernels_neon.c model/kernels_tile.h
libmodel_neon_a_CFLAGS = $(AM_CFLAGS) -O3
endif

EXTRA_PROGRAMS = tools/bench_linear
tools_bench_linear_SOURCES = tools/bench_linear.c
tools_bench_linear_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS)
EXTRA_PROGRAMS += tools/bench_tokenizer
tools_bench_tokenizer_SOURCES = tools/bench_tokenizer.c tests/model/many_scripts.h tests/model/many_scripts.c
tools_bench_tokenizer_LDADD = $(MODEL_LIBS) $(MODEL_SYSLIBS)

# The decoder, in the order in which a pass goes through it.
libmodel_a_SOURCES += \
	model/gemma4.h \
	model/weights.h model/weights.c \
	model/scratch.h model/scratch.c \
	model/engine.h model/engine_state.h model/engine.c \
	model/embed.h model/embed.c \
	model/kv_cache.h model/kv_cache.c \
	model/attention.h model/attention.c \
	model/layer.h model/layer.c \
	model/decoder.h model/decoder.c \
	model/sampler.h model/sampler.c \
	model/drafter_file.h model/drafter_file.c \
	model/drafter.h model/drafter.c
