/*
 * A client that does what no client does, and one that may not do anything. Its last line is a JSON object; exit code 0
 * unless the program itself could not work. Written with the C library, so that nothing of our own client stands between.
 *
 *   hostile open         opens a session: {"result": CODE}
 *   hostile malformed    parameters of all types, sizes and commands, memory that changes during the call
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tee_client_api.h>

#define MAX_MESSAGE (96 * 1024)
#define HUGE_SIZE (4 * 1024 * 1024)
#define TARGET_DEAD 0xFFFF3024u

static TEEC_Context context;
static TEEC_Session session;
static uint8_t request[HUGE_SIZE], response[HUGE_SIZE];
static unsigned calls, accepted, dead;

static TEEC_UUID parse_uuid(const char *text)
{
	TEEC_UUID uuid;
	unsigned a, b, c, d[8];

	if (sscanf(text, "%8x-%4x-%4x-%2x%2x-%2x%2x%2x%2x%2x%2x", &a, &b, &c, &d[0], &d[1], &d[2], &d[3], &d[4], &d[5],
		   &d[6], &d[7]) != 11)
		exit(2);
	uuid.timeLow = a;
	uuid.timeMid = b;
	uuid.timeHiAndVersion = c;
	for (int i = 0; i < 8; i++)
		uuid.clockSeqAndNode[i] = d[i];
	return uuid;
}

static TEEC_Result open_session(uint32_t login)
{
	TEEC_UUID uuid = parse_uuid(TEUICC_UUID);
	uint32_t group = 0;

	return TEEC_OpenSession(&context, &session, &uuid, login, login == TEEC_LOGIN_GROUP ? &group : NULL, NULL, NULL);
}

static TEEC_Result invoke(uint32_t command, TEEC_Operation *operation)
{
	uint32_t origin;
	TEEC_Result result = TEEC_InvokeCommand(&session, command, operation, &origin);

	calls++;
	if (result == TEEC_SUCCESS)
		accepted++;
	if (result == TARGET_DEAD)
		dead++;
	return result;
}

static void fill(TEEC_Parameter *parameter, uint32_t type, void *buffer, size_t size)
{
	memset(parameter, 0, sizeof(*parameter));
	if (type == TEEC_MEMREF_TEMP_INPUT || type == TEEC_MEMREF_TEMP_OUTPUT || type == TEEC_MEMREF_TEMP_INOUT) {
		parameter->tmpref.buffer = buffer;
		parameter->tmpref.size = size;
	} else {
		parameter->value.a = 0xFFFFFFFF;
		parameter->value.b = size;
	}
}

/* A right request of `size` bytes as the first parameter, and room for the response as the second. */
static TEEC_Result exchange(uint32_t command, size_t size, size_t room)
{
	TEEC_Operation operation = { 0 };

	operation.paramTypes =
		TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT, TEEC_NONE, TEEC_NONE);
	fill(&operation.params[0], TEEC_MEMREF_TEMP_INPUT, request, size);
	fill(&operation.params[1], TEEC_MEMREF_TEMP_OUTPUT, response, room);
	return invoke(command, &operation);
}

static atomic_int stop;

static void *scribble(void *unused)
{
	uint32_t x = 2463534242u;

	(void)unused;
	while (!stop) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		((volatile uint8_t *)request)[x % 4096] = x >> 24;
	}
	return NULL;
}

static int malformed(uint32_t command)
{
	static const uint32_t types[] = { TEEC_NONE, TEEC_VALUE_INPUT, TEEC_VALUE_OUTPUT, TEEC_VALUE_INOUT,
					  TEEC_MEMREF_TEMP_INPUT, TEEC_MEMREF_TEMP_OUTPUT, TEEC_MEMREF_TEMP_INOUT };
	static const size_t sizes[] = { 0, 1, 2, 3, 4095, 4096, 4097, MAX_MESSAGE - 1, MAX_MESSAGE, MAX_MESSAGE + 1,
					1024 * 1024, HUGE_SIZE };
	static const uint8_t hello[] = { 1, 1 };
	const unsigned count = sizeof(types) / sizeof(*types);
	unsigned combinations = 0, wrongly_accepted = 0;

	for (unsigned n = 0; n < count * count * count * count; n++) {
		TEEC_Operation operation = { 0 };
		unsigned rest = n;
		uint32_t chosen[4];

		for (int i = 0; i < 4; i++, rest /= count) {
			chosen[i] = types[rest % count];
			fill(&operation.params[i], chosen[i], i == 0 ? request : response, 64);
		}
		operation.paramTypes = TEEC_PARAM_TYPES(chosen[0], chosen[1], chosen[2], chosen[3]);
		combinations++;
		if (invoke(command, &operation) == TEEC_SUCCESS)
			wrongly_accepted++;
	}
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (unsigned j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
			memset(request, i * 16 + j, sizeof(request));
			memcpy(request, hello, i == 2 ? 2 : 1);
			exchange(command, sizes[i], sizes[j]);
		}
	for (uint32_t other = 0; other < 32; other++)
		exchange(other == command ? 0xFFFFFFFF : other, 2, MAX_MESSAGE);
	/* Every opcode with rubbish behind it. */
	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned length = 2; length < 200; length += 66) {
			for (unsigned i = 0; i < length; i++)
				request[i] = opcode * 31 + i * 7;
			request[0] = 1;
			request[1] = opcode;
			exchange(command, length, MAX_MESSAGE);
		}
	unsigned before = calls;
	pthread_t thread;

	if (pthread_create(&thread, NULL, scribble, NULL))
		return 2;
	for (unsigned i = 0; i < 500; i++)
		exchange(command, 4096, MAX_MESSAGE);
	stop = 1;
	pthread_join(thread, NULL);

	unsigned changed = calls - before;
	memcpy(request, hello, sizeof(hello));
	TEEC_Result last = exchange(command, sizeof(hello), MAX_MESSAGE);

	printf("\n{\"calls\": %u, \"type_combinations\": %u, \"wrong_types_accepted\": %u, \"changed_during_call\": %u, "
	       "\"dead\": %u, \"hello_afterwards\": %u, \"hello_status\": %u}\n",
	       calls, combinations, wrongly_accepted, changed, dead, last, response[1]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	TEEC_Result result = TEEC_InitializeContext(NULL, &context);

	if (result != TEEC_SUCCESS) {
		printf("{\"context\": %u}\n", result);
		return 0;
	}
	if (!strcmp(argv[1], "open")) {
		static const uint32_t logins[] = { TEEC_LOGIN_USER, TEEC_LOGIN_PUBLIC, TEEC_LOGIN_GROUP,
						   TEEC_LOGIN_APPLICATION };

		TEEC_Result results[4];

		for (unsigned i = 0; i < 4; i++) {
			results[i] = open_session(logins[i]);
			if (results[i] == TEEC_SUCCESS)
				TEEC_CloseSession(&session);
		}
		/* In one go, on a line of its own: the library prints its own errors to standard output. */
		printf("\n{");
		for (unsigned i = 0; i < 4; i++)
			printf("%s\"login_%u\": %u", i ? ", " : "", logins[i], results[i]);
		printf("}\n");
		return 0;
	}
	result = open_session(TEEC_LOGIN_USER);
	if (result != TEEC_SUCCESS) {
		printf("{\"session\": %u}\n", result);
		return 0;
	}
	return malformed(argc > 2 ? strtoul(argv[2], NULL, 0) : 0);
}
