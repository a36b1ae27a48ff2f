# model/ - computes, never waits
noinst_LIBRARIES += libmodel.a
libmodel_a_SOURCES = \
	model/utf8.h model/utf8.c \
	model/json_scan.h model/json_scan.c \
	model/tensor_file.h model/tensor_file.c \
	model/tensor_table.h model/tensor_table.c \
	model/tensor_meta.c model/gguf.c model/safetensors.c \
	model/shape.h model/shape_parts.h model/shape.c \
	model/shape_gguf.c model/shape_json.c \
	model/tokenizer.h model/tokenizer_parts.h model/tokenizer.c \
	model/tokenizer_load.c model/tokenizer_encode.c model/tokenizer_decode.c
libmodel_a_SOURCES += \
	model/features.h model/features.c \
	model/voice.h model/voice.c
libmodel_a_CFLAGS = $(AM_CFLAGS) $(OPENBLAS_CFLAGS) $(JANSSON_CFLAGS)
MODEL_LIBS = libmodel.a libbase.a
MODEL_SYSLIBS = $(OPENBLAS_LIBS) $(JANSSON_LIBS)
