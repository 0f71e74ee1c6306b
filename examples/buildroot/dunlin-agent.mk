################################################################################
#
# dunlin-agent: package/dunlin-agent/ of a Buildroot, or of an external tree
#
################################################################################

DUNLIN_AGENT_VERSION = main
DUNLIN_AGENT_SITE = https://github.com/OWNER/dunlin.git
DUNLIN_AGENT_SITE_METHOD = git
DUNLIN_AGENT_LICENSE = Apache-2.0
DUNLIN_AGENT_LICENSE_FILES = LICENSE
DUNLIN_AGENT_DEPENDENCIES = host-pkgconf mbedtls mosquitto msgpack-c sqlite zstd
# Only what runs on devices, and no tests.
DUNLIN_AGENT_CONF_OPTS = -DDUNLIN_DEVICE=$(STAGING_DIR)/usr -DBUILD_TESTING=OFF

define DUNLIN_AGENT_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(DUNLIN_AGENT_BUILDDIR)/dunlin-agent $(TARGET_DIR)/usr/bin/dunlin-agent
	$(INSTALL) -D -m 0755 $(@D)/cross/package/join $(TARGET_DIR)/usr/lib/dunlin/join
	$(INSTALL) -D -m 0644 $(@D)/cross/package/agent.conf $(TARGET_DIR)/etc/dunlin/agent.conf
endef

define DUNLIN_AGENT_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/cross/package/dunlin-agent.init $(TARGET_DIR)/etc/init.d/S90dunlin-agent
endef

define DUNLIN_AGENT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/cross/package/dunlin-agent.service \
		$(TARGET_DIR)/usr/lib/systemd/system/dunlin-agent.service
endef

define DUNLIN_AGENT_USERS
	dunlin-agent -1 dunlin-agent -1 * /var/lib/dunlin-agent - - Dunlin agent
endef

$(eval $(cmake-package))
