# What `make install` puts where; included by the Makefile.
man_src := $(wildcard contrib/man/*.md)
man_pages := $(man_src:contrib/man/%.md=$(B)/man/%)

$(B)/man/%: contrib/man/%.md
	@mkdir -p $(@D)
	$(Q)go-md2man -in $< -out $@

man: $(man_pages)

D := $(DESTDIR)
# Units of the system's manager, with the program's place put in.
units := $(notdir $(wildcard contrib/systemd/*))
header_root := $(D)$(includedir)/splitfd
completion := $(D)$(datadir)/bash-completion/completions/splitfd

install: all $(if $(shell command -v go-md2man),man)
	$(INSTALL) -d $(D)$(bindir) $(D)$(libdir)/pkgconfig $(D)$(mandir)/man1
	$(INSTALL) -m 755 $(program) $(D)$(bindir)/splitfd
	$(INSTALL) -m 644 $(static_lib) $(D)$(libdir)/libsplitfd.a
	$(INSTALL) -m 755 $(shared_lib) $(D)$(libdir)/libsplitfd.so.$(SOVERSION)
	ln -sfn libsplitfd.so.$(SOVERSION) $(D)$(libdir)/libsplitfd.so
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
		-e 's|@version@|$(VERSION)|' -e 's|@requires@|$(packages)|' contrib/splitfd.pc.in \
		> $(D)$(libdir)/pkgconfig/splitfd.pc
	for h in $(public_headers); do $(INSTALL) -D -m 644 $$h $(header_root)/$$h || exit 1; done
	$(INSTALL) -d $(D)$(unitdir)
	for u in $(units); do sed 's|/usr/local/bin|$(bindir)|' contrib/systemd/$$u > $(D)$(unitdir)/$$u && \
		chmod 644 $(D)$(unitdir)/$$u || exit 1; done
	$(INSTALL) -D -m 644 contrib/completion/splitfd.bash $(completion)
	if [ -d $(B)/man ]; then $(INSTALL) -m 644 $(B)/man/*.1 $(D)$(mandir)/man1/; \
		else echo 'install: no man pages: go-md2man is not here'; fi

uninstall:
	rm -f $(D)$(bindir)/splitfd $(D)$(libdir)/libsplitfd.a $(D)$(libdir)/libsplitfd.so \
		$(D)$(libdir)/libsplitfd.so.$(SOVERSION) $(D)$(libdir)/pkgconfig/splitfd.pc \
		$(patsubst contrib/man/%.md,$(D)$(mandir)/man1/%,$(man_src)) $(units:%=$(D)$(unitdir)/%) $(completion)
	rm -rf $(header_root)

.PHONY: man
