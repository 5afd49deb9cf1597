# SPDX-License-Identifier: MIT
# The framebuffer console's font, taken from the package that also makes the boot image.
FONT ?= /usr/share/grub/unicode.pf2
KERNEL_SOURCES += $(B)/font/font.cpp

$(B)/font/font.cpp: tools/font_to_cpp.py | $(B)/have/build
	@mkdir -p $(@D); $(SAY) "  FONT    $(FONT)"
	@$(PYTHON) tools/font_to_cpp.py $(FONT) >$@
