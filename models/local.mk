# models/ - the shipped models and what each family is asked
modelsdir = $(pkgdatadir)/models
dist_models_DATA = \
	models/nano.gguf \
	models/voice-print.safetensors \
	models/speech-activity.safetensors \
	models/README.md
dist_models_DATA += models/nano.prompt.yaml models/gemma4-12b.prompt.yaml
EXTRA_DIST += docs/prompts.md
# the scripts that make nano
EXTRA_DIST += tools/nano/README.md tools/nano/words.txt tools/nano/texts.py tools/nano/voices.py tools/nano/engines.py \
	tools/nano/synth.py tools/nano/sounds.py tools/nano/clips.py tools/nano/rooms.py tools/nano/draw.py tools/nano/patterns.py \
	tools/nano/tok.py tools/nano/prompts.py tools/nano/net.py tools/nano/start.py tools/nano/muon.py tools/nano/train.py \
	tools/nano/folder.py tools/nano/export.py tools/nano/gguf.py tools/nano/to_gguf.py tools/nano/evaluate.py \
	tools/nano/make_eval.py
