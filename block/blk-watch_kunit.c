// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what block devices tell: included at the end of blk-watch.c.
 *
 * That disks really tell it is tested in tools/testing/selftests/watch_queue/.
 */

#include <kunit/test.h>
#include <linux/errno.h>

/* KUnit's macros cannot take bit-fields. */
static unsigned int record_type(const struct block_notification *n)
{
	return n->watch.type;
}

static unsigned int record_subtype(const struct block_notification *n)
{
	return n->watch.subtype;
}

/**
 * struct mapping - what becomes of a status
 * @name: For the report.
 * @status: As the driver gave it.
 * @subtype: The number that programs see.
 * @errno: What the record's status is the negative of.
 */
struct mapping {
	const char *name;
	blk_status_t status;
	unsigned int subtype;
	int errno;
};

/* The numbers themselves, for these are what programs rely on. */
static const struct mapping mappings[] = {
	{ "timeout",		BLK_STS_TIMEOUT,	1,	ETIMEDOUT },
	{ "no space",		BLK_STS_NOSPC,		2,	ENOSPC },
	{ "transport",		BLK_STS_TRANSPORT,	3,	ENOLINK },
	{ "target",		BLK_STS_TARGET,		4,	EREMOTEIO },
	{ "nexus",		BLK_STS_RESV_CONFLICT,	5,	EBADE },
	{ "medium",		BLK_STS_MEDIUM,		6,	ENODATA },
	{ "protection",		BLK_STS_PROTECTION,	7,	EILSEQ },
	{ "kernel resource",	BLK_STS_RESOURCE,	8,	ENOMEM },
	{ "device resource",	BLK_STS_DEV_RESOURCE,	9,	EBUSY },
	{ "I/O",		BLK_STS_IOERR,		10,	EIO },
	{ "not supported",	BLK_STS_NOTSUPP,	11,	EOPNOTSUPP },
	{ "again",		BLK_STS_AGAIN,		12,	EAGAIN },
	{ "open zones",		BLK_STS_ZONE_OPEN_RESOURCE, 13,	ETOOMANYREFS },
	{ "active zones",	BLK_STS_ZONE_ACTIVE_RESOURCE, 14, EOVERFLOW },
	{ "offline",		BLK_STS_OFFLINE,	15,	ENODEV },
	{ "duration limit",	BLK_STS_DURATION_LIMIT,	16,	ETIME },
	{ "invalid",		BLK_STS_INVAL,		17,	EINVAL },
	{ "dm requeue",		BLK_STS_DM_REQUEUE,	18,	EREMCHG },
};

KUNIT_ARRAY_PARAM_DESC(mapping, mappings, name);

/**
 * struct operation - what a request's flags are to programs
 * @name: For the report.
 * @opf: The flags.
 * @sectors: The request's length.
 * @operation: The number that programs see.
 */
struct operation {
	const char *name;
	blk_opf_t opf;
	unsigned int sectors;
	unsigned int operation;
};

static const struct operation operations[] = {
	{ "read",		REQ_OP_READ,			8,	1 },
	{ "read ahead",		REQ_OP_READ | REQ_RAHEAD,	8,	1 },
	{ "write",		REQ_OP_WRITE,			8,	2 },
	{ "write through",	REQ_OP_WRITE | REQ_FUA,		8,	2 },
	{ "flush and write",	REQ_OP_WRITE | REQ_PREFLUSH,	8,	2 },
	{ "flush",		REQ_OP_WRITE | REQ_PREFLUSH,	0,	3 },
	{ "flush under way",	REQ_OP_WRITE | REQ_SYNC,	0,	3 },
	{ "driver's flush",	REQ_OP_FLUSH,			0,	3 },
	{ "discard",		REQ_OP_DISCARD,			8,	4 },
	{ "secure erase",	REQ_OP_SECURE_ERASE,		8,	5 },
	{ "write zeroes",	REQ_OP_WRITE_ZEROES,		8,	6 },
	{ "zone append",	REQ_OP_ZONE_APPEND,		8,	7 },
	{ "zone open",		REQ_OP_ZONE_OPEN,		0,	8 },
	{ "zone close",		REQ_OP_ZONE_CLOSE,		0,	9 },
	{ "zone finish",	REQ_OP_ZONE_FINISH,		0,	10 },
	{ "zone reset",		REQ_OP_ZONE_RESET,		0,	11 },
	{ "zone reset all",	REQ_OP_ZONE_RESET_ALL,		0,	12 },
	{ "passthrough",	REQ_OP_DRV_IN,			8,	255 },
};

KUNIT_ARRAY_PARAM_DESC(operation, operations, name);

/* A disk that nobody has been shown yet. */
static struct gendisk *new_disk(struct kunit *test)
{
	struct gendisk *disk = blk_alloc_disk(NULL, NUMA_NO_NODE);

	if (IS_ERR(disk))
		kunit_skip(test, "no memory for a disk");
	disk->major = 259;
	disk->first_minor = 0xabcde;
	return disk;
}

static void status_to_subtype_as_documented(struct kunit *test)
{
	const struct mapping *m = test->param_value;

	KUNIT_EXPECT_EQ(test, status_to_subtype(m->status), m->subtype);
	KUNIT_EXPECT_EQ(test, blk_status_to_errno(m->status), -m->errno);
}

/*
 * Whatever status the block layer knows can be had by its errno, so this goes
 * through all of them, those included that somebody adds.
 */
static void status_to_subtype_knows_all(struct kunit *test)
{
	unsigned long seen[BITS_TO_LONGS(256)] = { };
	unsigned int found = 0, subtype;
	blk_status_t status;
	int errno;

	for (errno = 1; errno <= MAX_ERRNO; errno++) {
		status = errno_to_blk_status(-errno);
		if (status == BLK_STS_IOERR && errno != EIO)
			continue;
		found++;
		KUNIT_ASSERT_LT_MSG(test, (__force u8)status, ARRAY_SIZE(subtypes),
				    "\"%s\" has no subtype",
				    blk_status_to_str(status));
		subtype = subtypes[(__force u8)status];
		KUNIT_EXPECT_NE_MSG(test, subtype, 0, "\"%s\" has no subtype",
				    blk_status_to_str(status));
		KUNIT_EXPECT_FALSE_MSG(test, __test_and_set_bit(subtype, seen),
				       "\"%s\" shares its subtype",
				       blk_status_to_str(status));
	}
	KUNIT_EXPECT_EQ(test, found, ARRAY_SIZE(mappings));
}

static void status_to_subtype_unknown_is_io(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, status_to_subtype((__force blk_status_t)18),
			NOTIFY_BLOCK_ERROR_IO);
	KUNIT_EXPECT_EQ(test, status_to_subtype((__force blk_status_t)255),
			NOTIFY_BLOCK_ERROR_IO);
}

static void opf_to_operation_as_documented(struct kunit *test)
{
	const struct operation *op = test->param_value;

	KUNIT_EXPECT_EQ(test, opf_to_operation(op->opf, op->sectors), op->operation);
}

/* As major() and minor() of the C libraries take it apart. */
static void record_dev_decodes(struct kunit *test)
{
	static const unsigned int numbers[][2] = {
		{ 8, 0 }, { 8, 255 }, { 8, 256 }, { 259, 0xabcde },
		{ 0xff, 0xfffff }, { 0xfff, 0 }, { 0xfff, 0xfffff },
	};
	struct gendisk *disk = new_disk(test);
	struct block_notification n;
	u32 major, minor;
	int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		disk->major = numbers[i][0];
		disk->first_minor = numbers[i][1];
		disk_record(&n, disk, NOTIFY_BLOCK_MEDIUM);
		major = (n.dev & 0xfff00) >> 8 | (n.dev & 0xfffff00000000000) >> 32;
		minor = (n.dev & 0xff) | (n.dev & 0xffffff00000) >> 12;
		KUNIT_EXPECT_EQ(test, major, numbers[i][0]);
		KUNIT_EXPECT_EQ(test, minor, numbers[i][1]);
	}
	put_disk(disk);
}

static void error_record_is_complete(struct kunit *test)
{
	struct gendisk *disk = new_disk(test);
	struct block_notification n;

	memset(&n, 0xff, sizeof(n));
	error_record(&n, disk, REQ_OP_WRITE | REQ_FUA, BLK_STS_MEDIUM, 0x123456789abc,
		     24);
	KUNIT_EXPECT_EQ(test, record_type(&n), WATCH_TYPE_BLOCK_NOTIFY);
	KUNIT_EXPECT_EQ(test, record_subtype(&n),
			NOTIFY_BLOCK_ERROR_CRITICAL_MEDIUM);
	KUNIT_EXPECT_EQ(test, n.watch.info, sizeof(n));
	KUNIT_EXPECT_EQ(test, n.dev, huge_encode_dev(MKDEV(259, 0xabcde)));
	KUNIT_EXPECT_EQ(test, n.sector, 0x123456789abc);
	KUNIT_EXPECT_EQ(test, n.operation, NOTIFY_BLOCK_OP_WRITE);
	KUNIT_EXPECT_EQ(test, n.sectors, 24);
	KUNIT_EXPECT_EQ(test, n.status, -ENODATA);
	KUNIT_EXPECT_EQ(test, n.__reserved, 0);
	KUNIT_EXPECT_EQ(test, n.diskseq, disk->diskseq);
	KUNIT_EXPECT_NE(test, n.diskseq, 0);
	put_disk(disk);
}

/* What is in no field, or in none that is used, is zero whatever was there before. */
static void record_has_no_old_bytes(struct kunit *test)
{
	struct gendisk *disk = new_disk(test);
	struct block_notification n, want;

	memset(&want, 0, sizeof(want));
	want.watch.type = WATCH_TYPE_BLOCK_NOTIFY;
	want.watch.subtype = NOTIFY_BLOCK_MEDIUM;
	want.watch.info = sizeof(want);
	want.dev = huge_encode_dev(MKDEV(259, 0xabcde));
	want.diskseq = disk->diskseq;

	memset(&n, 0xa5, sizeof(n));
	disk_record(&n, disk, NOTIFY_BLOCK_MEDIUM);
	KUNIT_EXPECT_MEMEQ(test, &n, &want, sizeof(n));
	put_disk(disk);
}

static void error_record_flush_has_no_range(struct kunit *test)
{
	struct gendisk *disk = new_disk(test);
	struct block_notification n;

	error_record(&n, disk, REQ_OP_WRITE | REQ_PREFLUSH, BLK_STS_IOERR, (sector_t)-1,
		     0);
	KUNIT_EXPECT_EQ(test, n.operation, NOTIFY_BLOCK_OP_FLUSH);
	KUNIT_EXPECT_EQ(test, n.sector, 0);
	KUNIT_EXPECT_EQ(test, n.sectors, 0);
	put_disk(disk);
}

static void disk_record_says_stacked(struct kunit *test)
{
#ifdef CONFIG_BLOCK_HOLDER_DEPRECATED
	struct gendisk *disk = new_disk(test);
	struct block_notification n;
	LIST_HEAD(slave);

	disk_record(&n, disk, NOTIFY_BLOCK_CAPACITY);
	KUNIT_EXPECT_EQ(test, n.watch.info & NOTIFY_BLOCK_STACKED, 0);
	list_add(&slave, &disk->slave_bdevs);
	disk_record(&n, disk, NOTIFY_BLOCK_CAPACITY);
	KUNIT_EXPECT_EQ(test, n.watch.info & NOTIFY_BLOCK_STACKED,
			NOTIFY_BLOCK_STACKED);
	list_del(&slave);
	put_disk(disk);
#else
	kunit_skip(test, "CONFIG_BLOCK_HOLDER_DEPRECATED is not set");
#endif
}

static void bio_error_told_once(struct kunit *test)
{
	struct gendisk *disk = new_disk(test);
	struct bio bio;

	bio_init(&bio, disk->part0, NULL, 0, REQ_OP_READ);
	bio.bi_status = BLK_STS_IOERR;
	KUNIT_EXPECT_FALSE_MSG(test, bio_error_is_told(&bio), "made into requests");

	bdev_set_flag(disk->part0, BD_HAS_SUBMIT_BIO);
	KUNIT_EXPECT_TRUE(test, bio_error_is_told(&bio));

	bio.bi_status = BLK_STS_AGAIN;
	KUNIT_EXPECT_TRUE(test, bio_error_is_told(&bio));
	bio.bi_opf |= REQ_NOWAIT;
	KUNIT_EXPECT_FALSE_MSG(test, bio_error_is_told(&bio), "asked not to wait");
	bio.bi_status = BLK_STS_IOERR;
	KUNIT_EXPECT_TRUE(test, bio_error_is_told(&bio));

	bio_set_flag(&bio, BIO_QUIET);
	KUNIT_EXPECT_FALSE_MSG(test, bio_error_is_told(&bio), "asked to be quiet");
	bio_clear_flag(&bio, BIO_QUIET);

	set_bit(GD_DEAD, &disk->state);
	KUNIT_EXPECT_FALSE_MSG(test, bio_error_is_told(&bio), "the disk is dead");
	clear_bit(GD_DEAD, &disk->state);

	bio_uninit(&bio);
	put_disk(disk);
}

static void bio_bytes_before_finds_beginning(struct kunit *test)
{
	struct bio_vec vecs[3] = {
		{ .bv_len = 4096 }, { .bv_len = 512 }, { .bv_len = 8192 },
	};
	static const unsigned int steps[] = { 0, 512, 3584, 512, 1024 };
	unsigned int i, done = 0;
	struct bio bio;

	bio_init(&bio, NULL, vecs, ARRAY_SIZE(vecs), REQ_OP_READ);
	bio.bi_vcnt = ARRAY_SIZE(vecs);
	bio.bi_iter.bi_size = 4096 + 512 + 8192;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		bio_advance(&bio, steps[i]);
		done += steps[i];
		KUNIT_EXPECT_EQ(test, bio_bytes_before(&bio), done);
		KUNIT_EXPECT_EQ(test, bio.bi_iter.bi_sector, done >> SECTOR_SHIFT);
	}
	KUNIT_EXPECT_EQ(test, bio.bi_iter.bi_size, 7168);

	bio_set_flag(&bio, BIO_CLONED);
	KUNIT_EXPECT_EQ(test, bio_bytes_before(&bio), 0);
	bio_uninit(&bio);
}

static struct kunit_case blk_watch_cases[] = {
	KUNIT_CASE_PARAM(status_to_subtype_as_documented, mapping_gen_params),
	KUNIT_CASE(status_to_subtype_knows_all),
	KUNIT_CASE(status_to_subtype_unknown_is_io),
	KUNIT_CASE_PARAM(opf_to_operation_as_documented, operation_gen_params),
	KUNIT_CASE(record_dev_decodes),
	KUNIT_CASE(error_record_is_complete),
	KUNIT_CASE(record_has_no_old_bytes),
	KUNIT_CASE(error_record_flush_has_no_range),
	KUNIT_CASE(disk_record_says_stacked),
	KUNIT_CASE(bio_error_told_once),
	KUNIT_CASE(bio_bytes_before_finds_beginning),
	{}
};

static struct kunit_suite blk_watch_suite = {
	.name		= "blk_watch",
	.test_cases	= blk_watch_cases,
};

kunit_test_suite(blk_watch_suite);
