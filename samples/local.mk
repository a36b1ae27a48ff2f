# samples/ - a recording with its truth
samplesdir = $(pkgdatadir)/samples
dist_samples_DATA = \
	samples/meeting.mkv \
	samples/meeting.truth.json \
	samples/README.md
EXTRA_DIST += samples/make_meeting.py
