// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading trust stores: files are read at the start, when there still are files. Called by
 * workers, which own them.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "log.h"
#include "trust.h"

static int add_anchor(struct trust_store *store, X509 *cert)
{
	X509_NAME *name;

	if (!X509_STORE_add_cert(store->certs, cert))
		return -1;
	if (sk_X509_NAME_num(store->names) > CA_NAMES_MAX)
		return 0;
	name = X509_NAME_dup(X509_get_subject_name(cert));
	if (name && sk_X509_NAME_push(store->names, name))
		return 0;
	X509_NAME_free(name);
	return -1;
}

/* The certificates in @file are added. Returns how many, or -1 with OpenSSL's error queue. */
static int load_bio(struct trust_store *store, BIO *file)
{
	bool ended;
	X509 *cert;
	int n = 0;

	ERR_clear_error();
	while ((cert = PEM_read_bio_X509_AUX(file, NULL, NULL, NULL))) {
		int err = add_anchor(store, cert);

		X509_free(cert);
		if (err)
			break;
		n++;
	}
	ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	return ended ? n : -1;
}

static int load_file(struct trust_store *store, const char *path)
{
	BIO *file = BIO_new_file(path, "r");
	int n = file ? load_bio(store, file) : -1;

	BIO_free(file);
	return n;
}

/* A second name of what is in the same directory, as c_rehash makes them. */
static bool is_alias(int directory, const char *name)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(directory, name, target, sizeof(target));

	return len > 0 && !memchr(target, '/', len);
}

/* Likewise; files without certificates are passed over. */
static int load_directory(struct trust_store *store, const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	char file[PATH_MAX];
	struct stat st;
	int n = 0, more;

	if (!directory)
		return -1;
	while ((entry = readdir(directory))) {
		if (fstatat(dirfd(directory), entry->d_name, &st, 0) || !S_ISREG(st.st_mode) ||
		    is_alias(dirfd(directory), entry->d_name))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		more = load_file(store, file);
		if (more > 0)
			n += more;
	}
	closedir(directory);
	return n;
}

/* A copy of the file at @path, or NULL. */
static BIO *read_file(const char *path)
{
	BIO *file = BIO_new_file(path, "r"), *copy = BIO_new(BIO_s_mem());
	char data[16384];
	int len = -1;

	while (file && copy && (len = BIO_read(file, data, sizeof(data))) > 0)
		if (BIO_write(copy, data, len) != len)
			break;
	/* 0 is the end; a file that cannot be read to its end counts as none. */
	if (len) {
		BIO_free(copy);
		copy = NULL;
	}
	BIO_free(file);
	return copy;
}

/*
 * Many certificates, which few workers need: they are read on the first occasion. One file
 * has them all; a directory of them is what is left where there is none. Without any,
 * each server is unknown: said then.
 */
static void load_system(struct trust_store *store)
{
	const char *file = secure_getenv(X509_get_default_cert_file_env());
	const char *directory = secure_getenv(X509_get_default_cert_dir_env());
	const char *const bundles[] = {
		file ? file : X509_get_default_cert_file(),
		file || directory ? NULL : "/etc/ssl/certs/ca-certificates.crt",
		file || directory ? NULL : "/etc/pki/tls/certs/ca-bundle.crt",
	};

	for (size_t i = 0; !store->unread && i < sizeof(bundles) / sizeof(*bundles); i++)
		if (bundles[i])
			store->unread = read_file(bundles[i]);
	if (directory || !store->unread)
		load_directory(store, directory ? directory : X509_get_default_cert_dir());
}

void trust_store_read(struct trust_store *store)
{
	if (!store->unread)
		return;
	load_bio(store, store->unread);
	ERR_clear_error();
	BIO_free(store->unread);
	store->unread = NULL;
	log_detail("the system trusts %d certificates",
		   sk_X509_OBJECT_num(X509_STORE_get0_objects(store->certs)));
}

static int load_trust(struct trust_store *store, const struct setting *trust)
{
	struct stat st;
	int n;

	if (!trust->value || !strcmp(trust->value, "system")) {
		load_system(store);
		return 0;
	}
	if (stat(trust->value, &st)) {
		config_fault(trust, "%s; give \"system\", or a file or directory of CA certificates",
			     strerror(errno));
		return -1;
	}
	errno = 0;
	n = S_ISDIR(st.st_mode) ? load_directory(store, trust->value) :
				  load_file(store, trust->value);
	if (n > 0)
		return 0;
	if (n < 0 && errno)
		config_fault(trust, "cannot read it: %s", strerror(errno));
	else
		config_fault(trust, n < 0 ? "a certificate in it is damaged" :
					    "no certificate in PEM in there");
	return -1;
}

static int load_crls(struct trust_store *store, const struct setting *crl)
{
	X509_LOOKUP *lookup;
	int n;

	if (!crl->value)
		return 0;
	lookup = X509_STORE_add_lookup(store->certs, X509_LOOKUP_file());
	errno = 0;
	n = lookup ? X509_load_crl_file(lookup, crl->value, X509_FILETYPE_PEM) : 0;
	if (n <= 0) {
		config_fault(crl, "no CRL in PEM can be read there%s%s", errno ? ": " : "",
			     errno ? strerror(errno) : "");
		return -1;
	}
	return X509_STORE_set_flags(store->certs,
				    X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) ? 0 : -1;
}

struct trust_store *trust_store_new(const struct trust_config *config)
{
	struct trust_store *store = calloc(1, sizeof(*store));

	if (store) {
		store->certs = X509_STORE_new();
		store->names = sk_X509_NAME_new_null();
	}
	if (!store || !store->certs || !store->names ||
	    !X509_STORE_set_flags(store->certs, X509_V_FLAG_PARTIAL_CHAIN)) {
		log_error("out of memory");
		goto err;
	}
	if (load_trust(store, &config->trust) || load_crls(store, &config->crl))
		goto err;
	ERR_clear_error();
	return store;
err:
	trust_store_free(store);
	return NULL;
}

void trust_store_free(struct trust_store *store)
{
	if (!store)
		return;
	BIO_free(store->unread);
	X509_STORE_free(store->certs);
	sk_X509_NAME_pop_free(store->names, X509_NAME_free);
	free(store);
}
