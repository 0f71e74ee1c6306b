# One static library: make -f archive.mk OUT=… CC=… AR=… CFLAGS=… SOURCES=…
objects = $(SOURCES:.c=.o)
$(OUT): $(objects)
	$(AR) rcsD $@ $(objects)
