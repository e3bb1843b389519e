/* SPDX-License-Identifier: GPL-2.0 */
/* A pool's module as far as it can be judged without running a byte of it: the file, its kind, its one symbol and the
 * version in that. Runs as root in the supervisor, so it reads and never loads. */
#include "config/config_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>

#include "weir_module.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#else
#error "name the ELF machine of this processor"
#endif

#define SYMBOL "weir_module"

/* The first bytes of a struct weir_module, which need no relocation. */
struct start {
	uint32_t abi_version;
	uint32_t size;
};

/* The data that an address of the file holds. False: none in the file. */
static bool read_at(Elf *elf, GElf_Addr addr, struct start *ret)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	size_t bytes;
	const char *raw = elf_rawfile(elf, &bytes);

	while (raw && (scn = elf_nextscn(elf, scn))) {
		GElf_Off off;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS || !(sh.sh_flags & SHF_ALLOC) ||
		    addr < sh.sh_addr || addr - sh.sh_addr >= sh.sh_size)
			continue;
		off = sh.sh_offset + (addr - sh.sh_addr);
		if (off > bytes || bytes - off < sizeof(*ret))
			return false;
		memcpy(ret, raw + off, sizeof(*ret));
		return true;
	}
	return false;
}

/* The dynamic symbol of that name, if it is defined here. */
static bool find_symbol(Elf *elf, const char *name, GElf_Sym *ret)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	size_t i;

	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *data;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_DYNSYM || sh.sh_entsize == 0)
			continue;
		data = elf_getdata(scn, NULL);
		for (i = 0; data && i < sh.sh_size / sh.sh_entsize; i++) {
			const char *text;

			if (!gelf_getsym(data, (int)i, ret))
				break;
			text = elf_strptr(elf, sh.sh_link, ret->st_name);
			if (text && !strcmp(text, name) && ret->st_shndx != SHN_UNDEF)
				return true;
		}
	}
	return false;
}

/* NULL: it can be loaded, as far as one can see. Else what is wrong, in one static buffer. */
static const char *judge_elf(Elf *elf)
{
	static char why[160];
	struct start start;
	GElf_Ehdr eh;
	GElf_Sym sym;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh) || eh.e_type != ET_DYN)
		return "no shared object: link it with -shared";
	if (eh.e_machine != MACHINE || gelf_getclass(elf) != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return "made for another processor";
	if (!find_symbol(elf, SYMBOL, &sym))
		return "no symbol '" SYMBOL "': define `const struct weir_module weir_module` of weir_module.h";
	if (GELF_ST_TYPE(sym.st_info) != STT_OBJECT || !read_at(elf, sym.st_value, &start))
		return "its '" SYMBOL "' is no struct weir_module";
	if (start.abi_version == WEIR_MODULE_ABI)
		return NULL;
	snprintf(why, sizeof(why), "made for version %u of weir_module.h, this is version %u: compile it again",
		 start.abi_version, WEIR_MODULE_ABI);
	return why;
}

static const char *judge(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *why;
	struct stat st;
	Elf *elf;

	if (fd < 0 || fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "no file";
	if (elf_version(EV_CURRENT) == EV_NONE)
		return "libelf is too old";
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return "no shared object";
	why = judge_elf(elf);
	(void)elf_end(elf);
	return why;
}

static int check_file(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	int line = MAX(p->lines[WEIR_PARAM_POOL_module], 0);
	const char *base = c->file ? strrchr(c->file, '/') : NULL, *why, *blocked;
	char *joined, *real;

	if (p->module.file[0] != '/' && base) {
		if (asprintf(&joined, "%.*s/%s", (int)(base - c->file), c->file, p->module.file) < 0)
			return -ENOMEM;
		free(p->module.file);
		p->module.file = joined;
	}
	real = realpath(p->module.file, NULL);
	if (real) {
		free(p->module.file);
		p->module.file = real;
	} else if (errno == ENOMEM) {
		return -ENOMEM;
	}
	why = judge(p->module.file);
	if (why)
		weir_conf_error(report, c->file, line, "module '%s' of pool '%s': %s", p->module.file, p->name, why);
	else if (!weir_conf_can_read(p, p->module.file, false, &blocked))
		weir_conf_error(report, c->file, line,
				"module '%s' of pool '%s': '%s' is closed to %s, who must load it; open it with chmod",
				p->module.file, p->name, blocked, p->user);
	return 0;
}

int weir_conf_check_module(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	static const enum weir_param_id only_here[] = { WEIR_PARAM_POOL_module, WEIR_PARAM_POOL_module_options,
							WEIR_PARAM_POOL_sandbox };
	size_t i;

	for (i = 0; p->handler != WEIR_HANDLER_MODULE && i < ARRAY_SIZE(only_here); i++)
		if (p->lines[only_here[i]])
			weir_conf_warning(report, c->file, MAX(p->lines[only_here[i]], 0),
					  "pool '%s': %s has no effect without handler = module", p->name,
					  weir_params[only_here[i]].name);
	if (p->handler != WEIR_HANDLER_MODULE)
		return 0;
	for (i = 0; i < p->module.options.count; i++)
		if (p->module.options.items[i][0] == '=')
			weir_conf_error(report, c->file, p->lines[WEIR_PARAM_POOL_module_options],
					"'%s' has no key: an option is \"key=value\" or \"key\"",
					p->module.options.items[i]);
	if (p->module.file)
		return check_file(c, p, report);
	weir_conf_error(report, c->file, p->line, "pool '%s' has no module: name the shared object that serves",
			p->name);
	return 0;
}
