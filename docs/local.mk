# docs/ - pages for readers, and the manual pages of the two programs
dist_doc_DATA = README.md CONTRIBUTING.md \
	docs/tour.md docs/model.md docs/threads.md docs/events.md docs/voice.md docs/prompts.md docs/measured.md docs/terminal.png
dist_man_MANS += man/witnessd.8 man/witness.1
EXTRA_DIST += tools/terminal_picture.py
