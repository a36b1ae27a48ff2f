# models/ - the shipped models and what each family is asked
modelsdir = $(pkgdatadir)/models
dist_models_DATA = \
	models/nano.gguf \
	models/voice-print.safetensors \
	models/speech-activity.safetensors \
	models/README.md
dist_models_DATA += models/nano.prompt.yaml models/gemma4-12b.prompt.yaml
EXTRA_DIST += docs/prompts.md
