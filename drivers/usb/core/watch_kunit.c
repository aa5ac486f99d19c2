// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of USB notifications; part of watch.c.
 *
 * What real devices make happen is tested from user space.  Here is what they
 * cannot: no bus is so deep that its devices' names reach the limit.
 */

#include <kunit/test.h>

#define TEST_NAME_LEN_MAX	(USB_NOTIFICATION_MAX_NAME_LEN + 20)

/* For every length of a name, the record is made where there was other data. */
static void usb_record_test_any_name(struct kunit *test)
{
	const size_t prefix = offsetof(struct usb_notification, name);
	char name[TEST_NAME_LEN_MAX + 1];
	union usb_record r;
	size_t len, kept;

	for (len = 0; len <= TEST_NAME_LEN_MAX; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		memset(&r, 0xa5, sizeof(r));
		usb_record_init(&r, NOTIFY_USB_DEVICE_ERROR, NOTIFY_USB_PORT,
				-EPROTO, name, NULL);

		kept = min(len, USB_NOTIFICATION_MAX_NAME_LEN);
		KUNIT_EXPECT_EQ(test, r.n.watch.info,
				NOTIFY_USB_PORT | round_up(prefix + kept, 8));
		KUNIT_EXPECT_EQ(test, r.n.error, -EPROTO);
		KUNIT_EXPECT_EQ(test, r.n.name_len, kept);
		KUNIT_EXPECT_MEMEQ(test, r.n.name, name, kept);
		KUNIT_EXPECT_PTR_EQ(test, NULL,
				    memchr_inv(r.bytes + prefix + kept, 0,
					       sizeof(r) - prefix - kept));
	}
}

static void usb_record_test_device(struct kunit *test)
{
	struct usb_device *udev = kunit_kzalloc(test, sizeof(*udev), GFP_KERNEL);
	union usb_record r;
	u32 type, subtype;

	KUNIT_ASSERT_NOT_NULL(test, udev);
	udev->descriptor.idVendor = cpu_to_le16(0x1d6b);
	udev->descriptor.idProduct = cpu_to_le16(0x0104);

	memset(&r, 0xa5, sizeof(r));
	usb_record_init(&r, NOTIFY_USB_DEVICE_ADD, 0, 0, "1-1.4", udev);
	type = r.n.watch.type;
	subtype = r.n.watch.subtype;
	KUNIT_EXPECT_EQ(test, type, WATCH_TYPE_USB_NOTIFY);
	KUNIT_EXPECT_EQ(test, subtype, NOTIFY_USB_DEVICE_ADD);
	KUNIT_EXPECT_EQ(test, r.n.watch.info, 24);
	KUNIT_EXPECT_EQ(test, r.n.error, 0);
	KUNIT_EXPECT_EQ(test, r.n.vendor, 0x1d6b);
	KUNIT_EXPECT_EQ(test, r.n.product, 0x0104);
}

/* What is not there any more has not gone wrong. */
static void usb_error_test(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, usb_error_counts(-EPIPE));
	KUNIT_EXPECT_TRUE(test, usb_error_counts(-ETIMEDOUT));
	KUNIT_EXPECT_FALSE(test, usb_error_counts(-ENODEV));
	KUNIT_EXPECT_FALSE(test, usb_error_counts(-ENOTCONN));
	KUNIT_EXPECT_FALSE(test, usb_error_counts(0));
}

static struct kunit_case usb_watch_test_cases[] = {
	KUNIT_CASE(usb_record_test_any_name),
	KUNIT_CASE(usb_record_test_device),
	KUNIT_CASE(usb_error_test),
	{}
};

static struct kunit_suite usb_watch_test_suite = {
	.name = "usb_watch",
	.test_cases = usb_watch_test_cases,
};

kunit_test_suite(usb_watch_test_suite);
